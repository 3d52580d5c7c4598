{{- /* What a member and the pod of `helm test` have in common. */}}

{{- define "segment-consumer.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "segment-consumer.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "segment-consumer.podIdentity" -}}
serviceAccountName: {{ include "segment-consumer.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- include "segment-consumer.podSecurity" . | nindent 2 }}
{{- end }}

{{- define "segment-consumer.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "segment-consumer.container" -}}
image: {{ include "segment-consumer.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
# Why it ended, for instance what is wrong with a setting, is in the pod's status, too.
terminationMessagePolicy: FallbackToLogsOnError
securityContext: {{- include "segment-consumer.containerSecurity" . | nindent 2 }}
envFrom:
  - configMapRef:
      name: {{ include "segment-consumer.fullname" . }}
volumeMounts:
  - name: secrets
    mountPath: /etc/segment-consumer/secrets
    readOnly: true
  {{- if .Values.kafkaTls.existingSecret }}
  - name: kafka-tls
    mountPath: /etc/segment-consumer/kafka-tls
    readOnly: true
  {{- end }}
  {{- if include "segment-consumer.mappingConfigMap" . }}
  - name: mapping
    mountPath: /etc/segment-consumer/mapping
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "segment-consumer.volumes" -}}
# A directory, not single files: only so does a changed Secret reach a running pod.
- name: secrets
  secret:
    secretName: {{ include "segment-consumer.secret" . }}
    defaultMode: 0440
{{- with .Values.kafkaTls.existingSecret }}
- name: kafka-tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with include "segment-consumer.mappingConfigMap" . }}
- name: mapping
  configMap:
    name: {{ . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
