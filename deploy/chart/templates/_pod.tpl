{{- /* What a member and the pod of `helm test` have in common. */}}

{{- /* A pod's labels and annotations; to be called with a list: the root, the component, its annotations. */}}
{{- define "segment-consumer.podMetadata" -}}
{{- $values := (first .).Values -}}
{{- $labels := include "segment-consumer.labels" (first .) | fromYaml -}}
labels:
  {{- include "segment-consumer.merged" (list (dict "app.kubernetes.io/component" (index . 1)) $values.podLabels $labels) | nindent 2 }}
annotations:
  {{- include "segment-consumer.merged" (last .) | nindent 2 }}
{{- end }}

{{- define "segment-consumer.podIdentity" -}}
serviceAccountName: {{ include "segment-consumer.serviceAccount" . | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.initContainers }}
initContainers: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "segment-consumer.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector: {{- include "segment-consumer.merged" (list .) | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ quote . }}
{{- end }}
{{- end }}

{{- define "segment-consumer.container" -}}
image: {{ include "segment-consumer.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
# Why it ended, for instance what is wrong with a setting, is in the pod's status, too.
terminationMessagePolicy: FallbackToLogsOnError
{{- with .Values.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
envFrom:
  - configMapRef:
      name: {{ include "segment-consumer.fullname" . }}
{{- $mounts := .Values.extraVolumeMounts }}
{{- if include "segment-consumer.mappingConfigMap" . }}
{{- $mounts = prepend $mounts (dict "name" "mapping" "mountPath" "/etc/segment-consumer/mapping" "readOnly" true) }}
{{- end }}
{{- if include "segment-consumer.projected" . }}
{{- $mounts = prepend $mounts (dict "name" "secrets" "mountPath" (include "segment-consumer.directory" .) "readOnly" true) }}
{{- end }}
{{- with $mounts }}
volumeMounts: {{- toYaml . | nindent 2 }}
{{- end }}
resources: {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{- define "segment-consumer.volumes" -}}
{{- $mapping := include "segment-consumer.mappingConfigMap" . -}}
{{- if or (include "segment-consumer.projected" .) $mapping .Values.extraVolumes -}}
volumes:
  {{- with include "segment-consumer.projected" . | trim }}
  # A directory, not single files: only so does a changed Secret reach a running pod.
  - name: secrets
    projected:
      defaultMode: 288 # 0440, which YAML 1.2 reads as 440
      sources: {{- nindent 8 . }}
  {{- end }}
  {{- with $mapping }}
  - name: mapping
    configMap:
      name: {{ quote . }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
