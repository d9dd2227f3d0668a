{{/* The auth listener behind the edge. */}}

{{/* Something where the edge leads to it, else nothing. Here its ports are checked, as no schema can. */}}
{{- define "muster.edge.auth" -}}
{{- $edge := .Values.edge -}}
{{- if and $edge.enabled $edge.auth.enabled -}}
{{- range $name := list "http" "doorbell" "webapi-metrics" -}}
{{- if eq (include "muster.port" $name) (toString $edge.auth.targetPort) -}}
{{- fail (printf "edge.auth: targetPort, %v, is webapi's port for %s: choose another" $edge.auth.targetPort $name) -}}
{{- end -}}
{{- end -}}
{{- if eq (int $.Values.webapi.service.port) (int $edge.auth.targetPort) -}}
{{- fail (printf "edge.auth: targetPort, %v, is webapi.service.port: choose another" $edge.auth.targetPort) -}}
{{- end -}}
{{- if has (int $edge.auth.port) (list 8080 8081 (int $edge.service.httpPort)) -}}
{{- fail (printf "edge.auth: port, %v, is one that the edge has for HTTP: choose another" $edge.auth.port) -}}
{{- end -}}
{{- if eq (toString (index $.Values.webapi.settings "MUSTER_TRUSTED_PROXIES")) "0" -}}
{{- fail "edge.auth: webapi.settings.MUSTER_TRUSTED_PROXIES is 0, so webapi would not believe the edge: leave it out" -}}
{{- end -}}
true
{{- end -}}
{{- end }}

{{/* Variables of webapi: the listener, only where something leads to it, and that the edge is a proxy. */}}
{{- define "muster.edge.webapiEnv" -}}
{{- if include "muster.edge.auth" . }}
- {name: MUSTER_WEBAPI_AUTH_PORT, value: {{ .Values.edge.auth.targetPort | quote }}}
{{- else }}
- {name: MUSTER_AUTH_LINES, value: "false"}
{{- end }}
{{- if and .Values.edge.enabled (not (hasKey .Values.webapi.settings "MUSTER_TRUSTED_PROXIES")) }}
{{- /* Else all players would have one address, the edge's, and be locked out together. */}}
- {name: MUSTER_TRUSTED_PROXIES, value: "1"}
{{- end }}
{{- end }}
