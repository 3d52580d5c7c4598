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
app.kubernetes.io/name: {{ include "segment-consumer.name" . | quote }}
app.kubernetes.io/instance: {{ quote .Release.Name }}
{{- end }}

{{- define "segment-consumer.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "segment-consumer.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "segment-consumer.labels" -}}
{{ include "segment-consumer.merged" (list (include "segment-consumer.ownLabels" . | fromYaml) .Values.commonLabels) }}
{{- end }}

{{- /* Labels or annotations of several places as one, so that no key is there twice; what comes first counts. */}}
{{- define "segment-consumer.merged" -}}
{{- $all := dict -}}
{{- range . -}}
{{- range $name, $value := . -}}
{{- if not (hasKey $all $name) -}}
{{- $_ := set $all $name (include "segment-consumer.text" $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ toYaml $all }}
{{- end }}

{{- /* What tells the members from the pod of `helm test`. */}}
{{- define "segment-consumer.memberSelector" -}}
{{ include "segment-consumer.selector" . }}
app.kubernetes.io/component: member
{{- end }}

{{- define "segment-consumer.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary (include "segment-consumer.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "segment-consumer.image" -}}
{{- $image := .Values.image -}}
{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Members with names are KIP-848's. */}}
{{- define "segment-consumer.groupProtocol" -}}
{{ ternary "consumer" (lower .Values.settings.KAFKA_GROUP_PROTOCOL) .Values.staticMembership }}
{{- end }}

{{- define "segment-consumer.kind" -}}
{{ ternary "StatefulSet" "Deployment" .Values.staticMembership }}
{{- end }}

{{- /* At most 63 characters: a label of the Job's pods has it. */}}
{{- define "segment-consumer.replayName" -}}
{{- $run := include "segment-consumer.text" (.Values.replay.run | default .Release.Revision) -}}
{{ printf "%s-replay-%s" (include "segment-consumer.fullname" . | trunc (int (sub 55 (len $run))) | trimSuffix "-") $run }}
{{- end }}
