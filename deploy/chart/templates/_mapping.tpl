{{- /* What reads records that are no events: the files of a ConfigMap, the chart's own or an existing one. */}}

{{- define "segment-consumer.mappingFile" -}}
{{- with .Values.mapping -}}
{{ if .existingConfigMap }}{{ .mappingKey }}{{ else if .rules }}mapping.json{{ else if .text }}mapping.toml{{ end }}
{{- end -}}
{{- end }}

{{- define "segment-consumer.segmentsFile" -}}
{{- with .Values.mapping -}}
{{ if .existingConfigMap }}{{ .segmentsKey }}{{ else if .segments }}segments.json{{ end }}
{{- end -}}
{{- end }}

{{- /* The ConfigMap's name; empty: there is none. */}}
{{- define "segment-consumer.mappingConfigMap" -}}
{{- if .Values.mapping.existingConfigMap -}}
{{ .Values.mapping.existingConfigMap }}
{{- else if or (include "segment-consumer.mappingFile" .) (include "segment-consumer.segmentsFile" .) -}}
{{ include "segment-consumer.fullname" . }}-mapping
{{- end -}}
{{- end }}

{{- /* Whether records are read as something else than events in JSON; empty: they are not. */}}
{{- define "segment-consumer.readsOthers" -}}
{{- if or .Values.settings.EVENT_MAPPING (include "segment-consumer.mappingFile" .) (ne (lower .Values.settings.EVENT_FORMAT) "json") -}}
yes
{{- end -}}
{{- end }}
