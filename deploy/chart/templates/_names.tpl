{{- define "segment-consumer.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* At most 52 characters: a StatefulSet adds the number of a pod, and a hash to a label. */}}
{{- define "segment-consumer.fullname" -}}
{{- $name := include "segment-consumer.name" . -}}
{{- $own := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{ .Values.fullnameOverride | default $own | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "segment-consumer.selector" -}}
app.kubernetes.io/name: {{ include "segment-consumer.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "segment-consumer.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "segment-consumer.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* What tells the members from the pod of `helm test`. */}}
{{- define "segment-consumer.memberSelector" -}}
{{ include "segment-consumer.selector" . }}
app.kubernetes.io/component: member
{{- end }}

{{- define "segment-consumer.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "segment-consumer.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "segment-consumer.secret" -}}
{{ .Values.secrets.existingSecret | default (include "segment-consumer.fullname" .) }}
{{- end }}

{{- define "segment-consumer.image" -}}
{{- $image := .Values.image -}}
{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Members with names are KIP-848's. */}}
{{- define "segment-consumer.groupProtocol" -}}
{{ ternary "consumer" .Values.settings.KAFKA_GROUP_PROTOCOL .Values.staticMembership }}
{{- end }}

{{- define "segment-consumer.kind" -}}
{{ ternary "StatefulSet" "Deployment" .Values.staticMembership }}
{{- end }}
