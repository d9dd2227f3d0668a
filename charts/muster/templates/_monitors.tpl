{{/* What finds the metrics. */}}

{{/* The Service that a ServiceMonitor needs, apart from the one for players: metrics are nobody else's: (list $ "webapi"). */}}
{{- define "muster.metricsService" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "muster.metadata" (list $root $component (printf "%s-metrics" (include "muster.name" .))) | nindent 2 }}
    muster.dev/metrics: "true"
spec:
  clusterIP: None
  selector:
    {{- include "muster.selectorLabels" . | nindent 4 }}
  ports:
    - {name: metrics, port: {{ include "muster.port" (printf "%s-metrics" $component) }}, targetPort: metrics}
{{- end }}

{{/* Its ServiceMonitor: (list $ "webapi"). */}}
{{- define "muster.serviceMonitor" -}}
{{- $root := index . 0 -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "muster.metadata" . | nindent 2 }}
    {{- with $root.Values.monitoring.monitors.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "muster.selectorLabels" . | nindent 6 }}
      muster.dev/metrics: "true"
  # Prometheus' job is the component, which rules and dashboards tell replicas by.
  jobLabel: app.kubernetes.io/component
  endpoints:
    - {port: metrics, interval: {{ $root.Values.monitoring.monitors.interval }}}
{{- end }}
