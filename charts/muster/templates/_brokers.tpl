{{/* What speaks to brokers: `sinks`, `intake` and, where Kafka is set, `analytics`. The first two run where a broker is set
     that they speak to. */}}

{{- define "muster.sinks.runs" -}}
{{- if and .Values.sinks.enabled (or .Values.brokers.kafka .Values.brokers.rabbitmq) }}yes{{ end -}}
{{- end }}

{{- define "muster.intake.runs" -}}
{{- if and .Values.intake.enabled .Values.brokers.rabbitmq }}yes{{ end -}}
{{- end }}

{{- define "muster.analytics.runs" -}}
{{- if .Values.analytics.enabled }}yes{{ end -}}
{{- end }}

{{/* Variables of RabbitMQ. */}}
{{- define "muster.rabbitmqEnv" -}}
{{- with .Values.brokers.rabbitmq }}
- {name: RABBITMQ_HOST, value: {{ . | quote }}}
{{- end }}
{{- if and .Values.brokers.rabbitmq .Values.brokers.secret }}
- name: RABBITMQ_USER
  valueFrom:
    secretKeyRef: {name: {{ .Values.brokers.secret }}, key: rabbitmq-user}
- name: RABBITMQ_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ .Values.brokers.secret }}, key: rabbitmq-password}
{{- end }}
{{- end }}

{{/* The Deployment of one of them: (list $ "sinks"). */}}
{{- define "muster.brokers.deployment" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
{{- $metrics := printf "%s-metrics" $component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "muster.metadata" . | nindent 2 }}
spec:
  replicas: {{ $values.replicas }}
  strategy:
    {{- include "muster.rollout" $root | nindent 4 }}
  selector:
    matchLabels:
      {{- include "muster.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      {{- include "muster.podMetadata" . | nindent 6 }}
    spec:
      serviceAccountName: {{ include "muster.name" . }}
      automountServiceAccountToken: false
      securityContext:
        {{- include "muster.podSecurity" $root | nindent 8 }}
      {{- include "muster.placement" . | nindent 6 }}
      containers:
        - name: {{ $component }}
          image: {{ include "muster.image" (list $root $root.Values.image) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: [python3, -m, core.{{ $component }}]
          env:
            {{- include "muster.secretEnv" (list $root "REDIS_URL" "redis-url") | nindent 12 }}
            {{- if and (ne $component "intake") $root.Values.brokers.kafka }}
            - {name: KAFKA_BOOTSTRAP_SERVERS, value: {{ $root.Values.brokers.kafka | quote }}}
            {{- end }}
            {{- if ne $component "analytics" }}
            {{- with include "muster.rabbitmqEnv" $root }}
            {{- trim . | nindent 12 }}
            {{- end }}
            {{- end }}
            {{- if eq $component "sinks" }}
            - {name: MUSTER_SINKS_METRICS_HOST, value: 0.0.0.0}
            - {name: MUSTER_SINKS_METRICS_PORT, value: {{ include "muster.port" $metrics | quote }}}
            {{- else if eq $component "analytics" }}
            - {name: MUSTER_ANALYTICS_METRICS_HOST, value: 0.0.0.0}
            - {name: MUSTER_ANALYTICS_METRICS_PORT, value: {{ include "muster.port" $metrics | quote }}}
            {{- else }}
            - {name: MUSTER_INTAKE_METRICS_HOST, value: 0.0.0.0}
            - {name: MUSTER_INTAKE_METRICS_PORT, value: {{ include "muster.port" $metrics | quote }}}
            {{- end }}
            - {name: MUSTER_LOG_FORMAT, value: {{ $root.Values.logging.format }}}
            - {name: MUSTER_LOG_LEVEL, value: {{ $root.Values.logging.level }}}
            {{- with $values.settings }}
            {{- include "muster.settingsEnv" . | trim | nindent 12 }}
            {{- end }}
            {{- with $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - {name: metrics, containerPort: {{ include "muster.port" $metrics }}}
          # An answer on the metrics port comes from the loop that does the work. A broker that is away is no reason to
          # start anew: it is tried again.
          readinessProbe:
            httpGet: {path: /metrics, port: metrics}
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
          livenessProbe:
            httpGet: {path: /metrics, port: metrics}
            periodSeconds: 15
            timeoutSeconds: 5
            failureThreshold: 4
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- include "muster.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 16Mi}
{{- end }}

{{/* Its NetworkPolicy: names, Redis, brokers, and for `intake` the doorbells. */}}
{{- define "muster.brokers.networkPolicy" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "muster.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "muster.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with include "muster.ingress.metrics" (list $root (printf "%s-metrics" $component)) | trim }}
  ingress:
    {{- . | nindent 4 }}
  {{- else }}
  ingress: []
  {{- end }}
  egress:
    {{- include "muster.egress.dns" $root | nindent 4 }}
    {{- include "muster.egress.redis" $root | nindent 4 }}
    {{- if eq $component "intake" }}
    {{- include "muster.egress.doorbells" $root | nindent 4 }}
    {{- end }}
    {{- if or (ne $component "analytics") $root.Values.brokers.kafka }}
    - ports:
        {{- range $root.Values.brokers.ports }}
        - {protocol: TCP, port: {{ . }}}
        {{- end }}
      {{- with $root.Values.brokers.to }}
      to:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
{{- end }}

{{/* Its ServiceAccount. */}}
{{- define "muster.brokers.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "muster.metadata" . | nindent 2 }}
# It never calls the Kubernetes API.
automountServiceAccountToken: false
{{- end }}
