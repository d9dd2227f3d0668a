{{/* What webapi and matchmaker have in common. */}}

{{/* Ports that only the chart's own objects name. */}}
{{- define "muster.port" -}}
{{- index (dict "http" 22548 "doorbell" 22549 "webapi-metrics" 8000 "games-metrics" 8001 "matchmaker-metrics" 8002 "worker-metrics" 8003 "sinks-metrics" 8004 "intake-metrics" 8005 "analytics-metrics" 8006 "redis" 6379) . -}}
{{- end }}

{{/* A variable from the Secret: (list $ "REDIS_URL" "redis-url"). */}}
{{- define "muster.secretEnv" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef: {name: {{ (index . 0).Values.secrets.name }}, key: {{ index . 2 }}}
{{- end }}

{{/* Variables of both services. */}}
{{- define "muster.commonEnv" -}}
{{ include "muster.secretEnv" (list . "REDIS_URL" "redis-url") }}
{{ include "muster.secretEnv" (list . "MUSTER_SECRET" "secret") }}
- name: MUSTER_DOORBELL_BIND
  value: tcp://0.0.0.0:{{ include "muster.port" "doorbell" }}
- name: MUSTER_DOORBELL_HOST
  valueFrom:
    fieldRef: {fieldPath: status.podIP}
- name: MUSTER_LOG_FORMAT
  value: {{ .Values.logging.format }}
- name: MUSTER_LOG_LEVEL
  value: {{ .Values.logging.level }}
{{- end }}

{{/* Settings as variables. Helm reads every number as a float and would write 2592000 as 2.592e+06. */}}
{{- define "muster.settingsEnv" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ kindIs "float64" $value | ternary (toJson $value) (toString $value) | quote }}
{{- end }}
{{- end }}

{{/* A PodDisruptionBudget: (list $ "webapi"). */}}
{{- define "muster.disruptionBudget" -}}
{{- $disruption := (index (index . 0).Values (index . 1)).disruption -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "muster.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ $disruption.maxUnavailable }}
  # A pod that is not ready anyway does not hold up a drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "muster.selectorLabels" . | nindent 6 }}
{{- end }}
