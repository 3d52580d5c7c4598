{{- /* What is wrong with what you add to the pods: a JSON array of sentences. */}}
{{- define "segment-consumer.wrongPod" -}}
{{- $wrong := list -}}
{{- $values := .Values -}}
{{- $ours := include "segment-consumer.ownLabels" . | fromYaml -}}
{{- range $value := list "commonLabels" "podLabels" -}}
{{- range $label, $_ := index $values $value -}}
{{- if or (hasKey $ours $label) (eq $label "app.kubernetes.io/component") -}}
{{- $wrong = append $wrong (printf "%s has %s, which is the chart's own: pods are found by it" $value $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- range $volume := .Values.extraVolumes -}}
{{- if has .name (list "secrets" "mapping") -}}
{{- $wrong = append $wrong (printf "extraVolumes has %s, which is the chart's own name" .name) -}}
{{- end -}}
{{- end -}}

{{- range .Values.initContainers -}}
{{- if and .restartPolicy (semverCompare "<1.29.0-0" $.Capabilities.KubeVersion.Version) -}}
{{- $wrong = append $wrong (printf "initContainers has %s with a restartPolicy, which Kubernetes knows from 1.29 on: the pods would wait for its end" .name) -}}
{{- end -}}
{{- end -}}

{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.extraEgress) -}}
{{- range .Values.extraEnv -}}
{{- if and .valueFrom (regexMatch "^(?i)(https?|all)_proxy$" .name) -}}
{{- $wrong = append $wrong (printf "extraEnv has %s from elsewhere, so the NetworkPolicy can't know its port: say it in networkPolicy.extraEgress" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end }}

{{- /* Bounds of decimals: the schema can't say them of text, which `--set name=2.5` makes of a decimal. */}}
{{- define "segment-consumer.wrongDecimals" -}}
{{- $wrong := list -}}
{{- range $name, $value := .Values.settings -}}
{{- $most := ternary 3600 86400 (eq $name "KAFKA_SESSION_TIMEOUT_SECONDS") -}}
{{- if and (hasSuffix "_SECONDS" $name) (gt (float64 $value) (float64 $most)) -}}
{{- $wrong = append $wrong (printf "settings.%s (%v) must be at most %d" $name $value $most) -}}
{{- end -}}
{{- end -}}
{{- if lt (float64 .Values.settings.LIVENESS_TIMEOUT_SECONDS) 3.0 -}}
{{- $wrong = append $wrong (printf "settings.LIVENESS_TIMEOUT_SECONDS (%v) must be at least 3" .Values.settings.LIVENESS_TIMEOUT_SECONDS) -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end }}
