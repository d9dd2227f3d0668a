{{/* A CronJob of the command line: (list $ "backup" arguments). */}}
{{- define "muster.backup.job" -}}
{{- $root := index . 0 -}}
{{- $backup := $root.Values.backup -}}
spec:
  # One that does not come through is tried again at its next time, and the alert tells.
  backoffLimit: 2
  activeDeadlineSeconds: {{ $backup.deadlineSeconds }}
  ttlSecondsAfterFinished: 604800
  template:
    metadata:
      {{- include "muster.podMetadata" (list $root "backup") | nindent 6 }}
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      securityContext:
        {{- include "muster.podSecurity" $root | nindent 8 }}
      {{- include "muster.placement" (list $root "backup") | nindent 6 }}
      containers:
        - name: backup
          image: {{ include "muster.image" (list $root $root.Values.image) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: [python3, -m, core.cli]
          args: {{ toJson (index . 1) }}
          env:
            {{- include "muster.secretEnv" (list $root "REDIS_URL" "redis-url") | nindent 12 }}
            - {name: MUSTER_DATA_DIR, value: /tmp}
            {{- with $backup.bucket.endpoint }}
            - {name: AWS_ENDPOINT_URL, value: {{ . }}}
            {{- end }}
            {{- with $backup.bucket.region }}
            - {name: AWS_REGION, value: {{ . }}}
            {{- end }}
          {{- if $backup.bucket.url }}
          envFrom:
            - secretRef: {name: {{ required "backup.bucket.secret: the Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" $backup.bucket.secret }}}
          {{- end }}
          resources:
            {{- toYaml $backup.resources | nindent 12 }}
          securityContext:
            {{- include "muster.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if not $backup.bucket.url }}
            - {name: backups, mountPath: /backups}
            {{- end }}
      volumes:
        # Snapshots lie here until they are stored.
        - name: tmp
          emptyDir: {sizeLimit: {{ $backup.scratch }}}
        {{- if not $backup.bucket.url }}
        - name: backups
          persistentVolumeClaim:
            claimName: {{ required "backup.volumeClaim: name a PersistentVolumeClaim, or give backup.bucket.url" $backup.volumeClaim }}
        {{- end }}
{{- end }}

{{/* Where backups are kept. */}}
{{- define "muster.backup.place" -}}
{{- .Values.backup.bucket.url | default "/backups" -}}
{{- end }}
