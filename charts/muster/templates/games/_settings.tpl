{{/* What the Kubernetes launcher reads (matchmaker/kube_settings.py). */}}
{{- define "muster.games.env" -}}
{{- $games := .Values.games -}}
{{- if gt (int $games.ports.first) (int $games.ports.last) -}}
{{- fail (printf "games.ports: first (%d) is greater than last (%d)" (int $games.ports.first) (int $games.ports.last)) -}}
{{- end -}}
- {name: MUSTER_INSTALLATION, value: {{ include "muster.installation" . }}}
- {name: MUSTER_KUBE_NAMESPACE, value: {{ include "muster.games.namespace" . }}}
- {name: MUSTER_KUBE_GAMEPOD_IMAGE, value: {{ include "muster.image" (list . $games.image) | quote }}}
- {name: MUSTER_KUBE_PULL_POLICY, value: {{ $games.image.pullPolicy }}}
- {name: MUSTER_KUBE_REDIS_SECRET, value: {{ include "muster.games.redisSecret" . }}}
- {name: MUSTER_KUBE_REDIS_SECRET_KEY, value: redis-url}
- {name: MUSTER_KUBE_NETWORK, value: {{ $games.network }}}
- {name: MUSTER_KUBE_NODE_ADDRESSES, value: {{ $games.nodeAddresses | quote }}}
- {name: MUSTER_KUBE_PORT_FIRST, value: {{ int $games.ports.first | quote }}}
- {name: MUSTER_KUBE_PORT_LAST, value: {{ int $games.ports.last | quote }}}
- {name: MUSTER_KUBE_PLACEMENT, value: {{ $games.placement }}}
{{- with $games.imagePullSecrets }}
- {name: MUSTER_KUBE_PULL_SECRETS, value: {{ join "," . | quote }}}
{{- end }}
{{- with $games.nodeSelector }}
- {name: MUSTER_KUBE_NODE_SELECTOR, value: {{ toJson . | quote }}}
{{- end }}
{{- with $games.tolerations }}
- {name: MUSTER_KUBE_TOLERATIONS, value: {{ toJson . | quote }}}
{{- end }}
{{- with $games.priorityClassName }}
- {name: MUSTER_KUBE_PRIORITY_CLASS, value: {{ . | quote }}}
{{- end }}
{{- with $games.runtimeClassName }}
- {name: MUSTER_KUBE_RUNTIME_CLASS, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{/* Namespaces of fleets, comma-separated. */}}
{{- define "muster.games.fleets" -}}
{{- join "," (.Values.games.agones.namespaces | default (list (include "muster.games.namespace" .))) -}}
{{- end }}

{{/* What webapi refuses at registration and the launcher at start: both read it. */}}
{{- define "muster.games.admissionEnv" -}}
{{- if .Values.games.agones.enabled }}
- {name: MUSTER_AGONES, value: "true"}
- {name: MUSTER_AGONES_NAMESPACES, value: {{ include "muster.games.fleets" . | quote }}}
{{- end }}
{{- with .Values.games.imagePrefixes }}
- {name: MUSTER_IMAGE_PREFIXES, value: {{ join "," . | quote }}}
{{- end }}
{{- with .Values.games.settings }}
{{- include "muster.settingsEnv" . }}
{{- end }}
{{- end }}
