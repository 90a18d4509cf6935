package e2e

import (
	"os"
	"testing"

	"github.com/taint-manager/taint-manager/e2e/framework/harness"
)

// suite is what all tests share: one control plane, which starts when a test asks for it.
var suite = harness.NewSuite()

func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }
