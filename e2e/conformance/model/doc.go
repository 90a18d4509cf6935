// Package model compares the model of the API server, which tests in virtual time run against, with a real one: the same
// requests are made to both, and what the controller reads of the answers has to be the same.
package model
