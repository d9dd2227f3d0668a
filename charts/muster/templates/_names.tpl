{{/* All names and labels, and nothing else makes one. */}}

{{/* What all names begin with. 40 characters leave room for the longest suffix and for what a StatefulSet appends. */}}
{{- define "muster.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $base := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $base | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Name of a component's objects: (list $ "webapi"). */}}
{{- define "muster.name" -}}
{{- printf "%s-%s" (include "muster.fullname" (index . 0)) (index . 1) -}}
{{- end }}

{{/* Namespace of the game servers. */}}
{{- define "muster.games.namespace" -}}
{{- .Values.games.namespace | default .Release.Namespace -}}
{{- end }}

{{/* Secret in that namespace that the sidecars read. */}}
{{- define "muster.games.redisSecret" -}}
{{- .Values.games.redisSecret | default .Values.secrets.name -}}
{{- end }}

{{/* Labels by which a component's pods are selected; they never change: (list $ "webapi"). */}}
{{- define "muster.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Labels of a component's objects: (list $ "webapi"). */}}
{{- define "muster.labels" -}}
{{- $root := index . 0 -}}
{{ include "muster.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: muster
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* How the launcher tells its servers from another release's in the same namespace. */}}
{{- define "muster.installation" -}}
{{- printf "%s-%s" .Release.Namespace (include "muster.fullname" .) | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* Labels of game servers, which the launcher gives them (matchmaker/launch/pod.py). */}}
{{- define "muster.games.selectorLabels" -}}
app.kubernetes.io/name: muster-server
app.kubernetes.io/instance: {{ include "muster.installation" . }}
app.kubernetes.io/managed-by: muster
{{- end }}

{{/* Metadata of a component's object: (list $ "webapi" name?). The name is the component's if none is given. */}}
{{- define "muster.metadata" -}}
{{- $root := index . 0 -}}
name: {{ len . | eq 3 | ternary (last .) (include "muster.name" .) }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "muster.labels" (list $root (index . 1)) | nindent 2 }}
{{- end }}
