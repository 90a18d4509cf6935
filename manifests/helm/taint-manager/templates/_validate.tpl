{{/*
Validate fails where a value has no effect or another one than it seems to have. What a value alone may be is in values.schema.json.
*/}}
{{- define "taint-manager.validate" -}}
{{- if eq (toString .Values.enabled) "false" }}
  {{- fail "enabled is false, and the chart is installed: it is for a chart that this one is a part of, which names it in the condition of the dependency" }}
{{- end }}
{{- include "taint-manager.validateArgs" . -}}
{{- include "taint-manager.validateConfig" . -}}
{{- end }}

{{- define "taint-manager.validateArgs" -}}
{{- $instead := dict
    "v" "set logVerbosity"
    "dry-run" "set dryRun"
    "config" "set config"
    "leader-elect-resource-namespace" "install into that namespace, with helm's flag --namespace"
    "leader-elect-resource-name" "leave it out: the permissions and the plugin go by the default"
    "taint-start-configmap" "leave it out: the permissions and the plugin go by the default"
    "secure-port" "leave it out: the Service and the probes go by the default"
    "kubeconfig" "leave it out: the service account is used"
    "leader-elect" "leave it out: all replicas would evict"
    "audit-log-path" "set config.auditLog.path"
    "audit-log-maxsize" "leave it out: standard output is not rotated"
    "audit-log-maxbackup" "leave it out: standard output is not rotated"
    "audit-log-maxage" "leave it out: standard output is not rotated"
    "bind-address" "set config.serving.bindAddress"
    "authorization-always-allow-paths" "set config.serving.authorizationAlwaysAllowPaths"
    "tls-cert-file" "leave it out: the chart mounts no certificate"
    "tls-private-key-file" "leave it out: the chart mounts no certificate"
-}}
{{- range .Values.extraArgs }}
  {{- if not (hasPrefix "--" .) }}
    {{- fail (printf "extraArgs has %q: write a flag as one string, such as --max-concurrent-evictions=100" .) }}
  {{- end }}
  {{- $flag := . | trimPrefix "--" | splitList "=" | first }}
  {{- with get $instead $flag }}
    {{- fail (printf "extraArgs has --%s: %s" $flag .) }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "taint-manager.validateConfig" -}}
{{- $must := dict
    "logging.verbosity" (list .Values.logVerbosity "set logVerbosity, whose flag wins")
    "eviction.dryRun" (list .Values.dryRun "set dryRun")
    "eviction.taintStartConfigMap" (list "taint-manager-starts" "the permissions and the plugin go by it")
    "leaderElection.leaderElect" (list true "without it all replicas evict")
    "leaderElection.resourceNamespace" (list .Release.Namespace "install into another namespace, with helm's flag --namespace")
    "leaderElection.resourceName" (list "taint-manager" "the permissions and the plugin go by it")
    "serving.securePort" (list 10290 "the Service and the probes go by it")
    "serving.tlsCertFile" (list "" "the chart mounts no certificate")
    "serving.tlsPrivateKeyFile" (list "" "the chart mounts no certificate")
    "auditLog.maxSizeMegabytes" (list 100 "standard output is not rotated")
    "auditLog.maxBackups" (list 10 "standard output is not rotated")
    "auditLog.maxAgeDays" (list 0 "standard output is not rotated")
-}}
{{- range $section, $fields := .Values.config }}
  {{- if kindIs "map" $fields }}
    {{- range $field, $value := $fields }}
      {{- $name := printf "%s.%s" $section $field }}
      {{- with get $must $name }}
        {{- if ne (toString $value) (toString (index . 0)) }}
          {{- fail (printf "config.%s is %s, and must be %s or left out: %s" $name (toJson $value) (toJson (index . 0)) (index . 1)) }}
        {{- end }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $audit := dig "auditLog" "path" "" (.Values.config | default dict) }}
{{- if not (has $audit (list "" "-")) }}
  {{- fail (printf "config.auditLog.path is %q, and the file system of the container is read-only: write to standard output, by \"-\"" $audit) }}
{{- end }}
{{- $serving := dig "serving" dict (.Values.config | default dict) }}
{{- $address := get $serving "bindAddress" | default "0.0.0.0" }}
{{- if not (has $address (list "0.0.0.0" "::")) }}
  {{- fail (printf "config.serving.bindAddress is %q, and must be \"0.0.0.0\" or \"::\" or left out: the Service and the probes go to the address of the pod" $address) }}
{{- end }}
{{- if hasKey $serving "authorizationAlwaysAllowPaths" }}
  {{- range list "/livez" "/readyz" }}
    {{- if not (has . $serving.authorizationAlwaysAllowPaths) }}
      {{- fail (printf "config.serving.authorizationAlwaysAllowPaths lacks %s, which the probes ask for without credentials: what is set replaces the default, so add /livez and /readyz" .) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- $maxNodes := dig "evictionBrake" "maxNodes" 0 (.Values.config | default dict) }}
{{- if and (kindIs "string" $maxNodes) (not (regexMatch "^(100|[1-9]?[0-9])%$" $maxNodes)) }}
  {{- fail (printf "config.evictionBrake.maxNodes is %q: write a number of nodes, such as 30, or a share from 0%% to 100%%, such as 30%%" $maxNodes) }}
{{- end }}
{{- end }}
