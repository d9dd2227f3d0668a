{{/* Peers and rules of NetworkPolicies. */}}

{{/* A component's pods, wherever the policy lives: (list $ "webapi"). */}}
{{- define "muster.peer" -}}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ (index . 0).Release.Namespace }}}
  podSelector:
    matchLabels:
      {{- include "muster.selectorLabels" . | nindent 6 }}
{{- end }}

{{/* The game servers. */}}
{{- define "muster.peer.games" -}}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ include "muster.games.namespace" . }}}
  podSelector:
    matchLabels:
      {{- include "muster.games.selectorLabels" . | nindent 6 }}
{{- end }}

{{/* One TCP port by the name of `muster.port`. */}}
{{- define "muster.ports" -}}
- {protocol: TCP, port: {{ include "muster.port" . }}}
{{- end }}

{{/* Egress: names. */}}
{{- define "muster.egress.dns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns.to | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dns.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{/* Egress: Redis, ours or another. */}}
{{- define "muster.egress.redis" -}}
{{- if .Values.redis.enabled -}}
- to:
    {{- include "muster.peer" (list . "redis") | nindent 4 }}
  ports:
    {{- include "muster.ports" "redis" | nindent 4 }}
{{- else -}}
- ports:
    {{- range .Values.networkPolicy.externalRedis.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .Values.networkPolicy.externalRedis.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end }}

{{/* Egress: ring the doorbells of those who listen. */}}
{{- define "muster.egress.doorbells" -}}
- to:
    {{- include "muster.peer" (list . "webapi") | nindent 4 }}
    {{- include "muster.peer" (list . "matchmaker") | nindent 4 }}
    {{- if .Values.worker.enabled }}
    {{- include "muster.peer" (list . "worker") | nindent 4 }}
    {{- end }}
  ports:
    {{- include "muster.ports" "doorbell" | nindent 4 }}
{{- end }}

{{/* Ingress: rings of all who ring. */}}
{{- define "muster.ingress.doorbells" -}}
- from:
    {{- include "muster.peer" (list . "webapi") | nindent 4 }}
    {{- include "muster.peer" (list . "matchmaker") | nindent 4 }}
    {{- if .Values.worker.enabled }}
    {{- include "muster.peer" (list . "worker") | nindent 4 }}
    {{- end }}
    {{- if include "muster.intake.runs" . }}
    {{- include "muster.peer" (list . "intake") | nindent 4 }}
    {{- end }}
    {{- include "muster.peer.games" . | nindent 4 }}
  ports:
    {{- include "muster.ports" "doorbell" | nindent 4 }}
{{- end }}

{{/* Ingress: whoever reads metrics, at a port of `muster.port`: (list $ "webapi-metrics"). */}}
{{- define "muster.ingress.metrics" -}}
{{- with (index . 0).Values.networkPolicy.monitoringFrom }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    {{- include "muster.ports" (index $ 1) | nindent 4 }}
{{- end }}
{{- end }}
