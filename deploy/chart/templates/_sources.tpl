{{- /*
Where each variable comes from. What comes as a file is in one directory, as one volume: each secret
named like its variable, and beside them the PEM files that a variable is the path of.
*/}}

{{- define "segment-consumer.directory" -}}
/etc/segment-consumer/secrets
{{- end }}

{{- /* A variable's file. The name of a PEM file is no variable's. */}}
{{- define "segment-consumer.file" -}}
{{- if regexMatch "(_LOCATION|_FILE)$" . -}}
{{ trimSuffix "_LOCATION" . | lower | replace "_" "-" }}.pem
{{- else -}}
{{ . }}
{{- end }}
{{- end }}

{{- /*
A JSON array of {variable, place, file, kind, name, key}: the value that says so, whether it is a file
of ours, and the Secret or ConfigMap that has it; no kind: none that is known here.
*/}}
{{- define "segment-consumer.origins" -}}
{{- $origins := list -}}
{{- $own := include "segment-consumer.fullname" . -}}
{{- range $name, $value := .Values.settings -}}
{{- if ternary (not (empty $value)) (ne (toString $value) "") (kindIs "map" $value) -}}
{{- $origins = append $origins (dict "variable" $name "place" (print "settings." $name) "kind" (ternary "" "configMap" (hasSuffix "_LOCATION" $name)) "name" $own "key" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := omit .Values.secrets "existingSecret" "sources" -}}
{{- if $value -}}
{{- $origins = append $origins (dict "variable" $name "place" (print "secrets." $name) "kind" "secret" "name" $own "key" $name) -}}
{{- end -}}
{{- end -}}
{{- range $source := .Values.secrets.sources -}}
{{- $kind := ternary "configMap" "secret" (hasKey . "configMap") -}}
{{- range $name, $key := .keys -}}
{{- $origins = append $origins (dict "variable" $name "place" "secrets.sources" "file" true "kind" $kind "name" (get $source $kind) "key" $key) -}}
{{- end -}}
{{- end -}}
{{- with .Values.kafkaTls -}}
{{- $secret := .existingSecret -}}
{{- range $name, $key := dict "CA" .caKey "CERTIFICATE" .certificateKey "KEY" .privateKeyKey -}}
{{- if and $secret $key -}}
{{- $origins = append $origins (dict "variable" (printf "KAFKA_SSL_%s_LOCATION" $name) "place" "kafkaTls" "file" true "kind" "secret" "name" $secret "key" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $variable := .Values.extraEnv -}}
{{- range $from, $key := .valueFrom -}}
{{- $kind := get (dict "secretKeyRef" "secret" "configMapKeyRef" "configMap") $from -}}
{{- $origins = append $origins (dict "variable" $variable.name "place" "extraEnv" "kind" $kind "name" (get $key "name") "key" (get $key "key")) -}}
{{- end -}}
{{- end -}}
{{- toJson $origins -}}
{{- end }}

{{- /* The Secret that is in the directory as a whole: yours, or ours if it has anything. */}}
{{- define "segment-consumer.wholeSecret" -}}
{{- $secrets := .Values.secrets -}}
{{- if $secrets.existingSecret -}}
{{ $secrets.existingSecret }}
{{- else if omit $secrets "existingSecret" "sources" | values | compact -}}
{{ include "segment-consumer.fullname" . }}
{{- end }}
{{- end }}

{{- /* What the volume projects; empty: there is none. */}}
{{- define "segment-consumer.projected" -}}
{{- with include "segment-consumer.wholeSecret" . }}
- secret:
    name: {{ quote . }}
{{- end }}
{{- range include "segment-consumer.origins" . | fromJsonArray }}
{{- if .file }}
- {{ .kind }}:
    name: {{ quote .name }}
    items:
      - key: {{ quote .key }}
        path: {{ include "segment-consumer.file" .variable }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The variables of the ConfigMap that say where the files are. */}}
{{- define "segment-consumer.paths" -}}
{{- $directory := include "segment-consumer.directory" . -}}
{{- if and (include "segment-consumer.projected" .) (not .Values.settings.SECRETS_DIR) }}
SECRETS_DIR: {{ $directory }}
{{- end }}
{{- range include "segment-consumer.origins" . | fromJsonArray }}
{{- $file := include "segment-consumer.file" .variable }}
{{- if and .file (ne $file .variable) }}
{{ .variable }}: {{ $directory }}/{{ $file }}
{{- end }}
{{- end }}
{{- end }}
