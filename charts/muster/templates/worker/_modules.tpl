{{/* Modules of games that workers run, and that webapi lets registrations name. */}}
{{- define "muster.worker.modulesEnv" -}}
{{- if and .Values.worker.enabled .Values.worker.modules }}
- {name: MUSTER_COMMAND_MODULES, value: {{ join "," .Values.worker.modules | quote }}}
{{- end }}
{{- end }}
