{{- /* A value as the daemon reads it: Helm has all numbers as floats, and 1000000 as 1e+06. */}}
{{- define "segment-consumer.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- /* How long a pod may take to end: the drain, and 10 s for what comes before and after it. */}}
{{- define "segment-consumer.graceSeconds" -}}
{{ add (ceil .Values.settings.DRAIN_TIMEOUT_SECONDS) 10 }}
{{- end }}

{{- /*
How long a new member must be ready before the rollout goes on: until the one that went has certainly
drained, and longer than it takes to send a first batch, so that a member that is to be held is.
*/}}
{{- define "segment-consumer.minReadySeconds" -}}
{{- $settings := .Values.settings -}}
{{ add (include "segment-consumer.graceSeconds" . | int) (ceil (addf $settings.BATCH_LINGER_SECONDS $settings.CUSTOMERIO_TIMEOUT_SECONDS)) }}
{{- end }}

{{- define "segment-consumer.maxReplicas" -}}
{{- if .Values.autoscaling.enabled -}}
{{ .Values.autoscaling.maxReplicas | default .Values.autoscaling.partitions | int }}
{{- else -}}
{{ .Values.replicas | int }}
{{- end }}
{{- end }}

{{- /*
Members that are wanted whatever the load is.
*/}}
{{- define "segment-consumer.minReplicas" -}}
{{ ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled | int }}
{{- end }}

{{- /*
Processes that can send at a time. A Deployment's rollout has one more than wanted, and one that was
told to stop and still drains: minReadySeconds is more than the grace period, so it is never two.
*/}}
{{- define "segment-consumer.maxProcesses" -}}
{{ add (include "segment-consumer.maxReplicas" . | int) (ternary 0 2 .Values.staticMembership) }}
{{- end }}

{{- /* One process's requests per second, rounded down to a thousandth. */}}
{{- define "segment-consumer.requestsPerSecond" -}}
{{- $given := .Values.settings.CUSTOMERIO_REQUESTS_PER_SECOND -}}
{{- if eq (toString $given) "" -}}
{{- $processes := include "segment-consumer.maxProcesses" . | int -}}
{{ divf (floor (divf (mulf .Values.accountRequestsPerSecond 1000) $processes)) 1000 }}
{{- else -}}
{{ $given }}
{{- end }}
{{- end }}

{{- /* What a full buffer takes in MiB: 400 bytes an id, as measured with ids of 100 characters, and some. */}}
{{- define "segment-consumer.memoryMebibytes" -}}
{{ add 128 (ceil (divf (mulf .Values.settings.BUFFER_MAX_IDS 400) 1048576)) }}
{{- end }}

{{- /* How often a member tells that it lives, as the daemon has it. */}}
{{- define "segment-consumer.heartbeatSeconds" -}}
{{- $settings := .Values.settings -}}
{{ minf (divf $settings.KAFKA_SESSION_TIMEOUT_SECONDS 6) (ternary 3 5 (eq (include "segment-consumer.groupProtocol" .) "classic")) }}
{{- end }}

{{- /* max.poll.interval.ms in seconds; what an existing Secret says about it is not known here. */}}
{{- define "segment-consumer.maxPollSeconds" -}}
{{- $config := .Values.settings.KAFKA_CONFIG | default .Values.secrets.KAFKA_CONFIG -}}
{{ divf (index $config "max.poll.interval.ms" | default 300000 | float64) 1000 }}
{{- end }}
