{{/*
Names and selectors are the same in each release: the Lease, the ConfigMap and the plugin go by them, a cluster has one taint-manager, and
`helm install --take-ownership` can take over what kustomize has made.
*/}}
{{- define "taint-manager.selector" -}}
app.kubernetes.io/name: taint-manager
app.kubernetes.io/component: controller
{{- end }}

{{- define "taint-manager.labels" -}}
{{ include "taint-manager.selector" . }}
{{ include "taint-manager.helmLabels" . }}
{{- end }}

{{- define "taint-manager.helmLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Image returns the name of an image. It takes a list of the values of the image and the root.
*/}}
{{- define "taint-manager.image" -}}
{{- $image := index . 0 -}}
{{- $root := index . 1 -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/*
Configuration returns the configuration file, or nothing.
*/}}
{{- define "taint-manager.configuration" -}}
{{- with .Values.config -}}
{{- merge (dict "apiVersion" "config.taint-manager.io/v1alpha1" "kind" "TaintManagerConfiguration") . | toYaml -}}
{{- end }}
{{- end }}

{{/*
Pod security that the level "restricted" admits.
*/}}
{{- define "taint-manager.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "taint-manager.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
TestMetadata returns labels and annotations of what `helm test` makes. It takes a list of the root and the weight, by which hooks are ordered.
*/}}
{{- define "taint-manager.testMetadata" -}}
{{- $root := index . 0 -}}
labels:
  app.kubernetes.io/name: taint-manager
  app.kubernetes.io/component: test
  {{- include "taint-manager.helmLabels" $root | nindent 2 }}
annotations:
  helm.sh/hook: test
  helm.sh/hook-weight: {{ index . 1 | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
