{{- /*
What values must be together, each with a sentence. All that is wrong is told at once; what a single
value may be says values.schema.json.
*/}}
{{- define "segment-consumer.check" -}}
{{- $wrong := list -}}
{{- $values := .Values -}}
{{- $settings := .Values.settings -}}
{{- $secrets := .Values.secrets -}}

{{- if not $values.image.repository -}}
{{- $wrong = append $wrong "image.repository is empty: set it to the repository you pushed the image to" -}}
{{- else if regexMatch "[@\\s]|:[^/]*$" $values.image.repository -}}
{{- $wrong = append $wrong (printf "image.repository (%s) is more than a repository: a tag belongs into image.tag, a digest into image.digest" $values.image.repository) -}}
{{- end -}}
{{- with $settings.KAFKA_BOOTSTRAP_SERVERS -}}
{{- range $server := splitList "," . -}}
{{- $port := regexFind ":[0-9]+$" (trim $server) | trimPrefix ":" | default "9092" | atoi -}}
{{- if or (lt $port 1) (gt $port 65535) (not (regexMatch "^(\\[[0-9A-Fa-f:.]+\\]|[^\\s:/@\\[\\]]+)(:[0-9]{1,5})?$" (trim $server))) -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_BOOTSTRAP_SERVERS has %q, which is no host:port" (trim $server)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $settings.KAFKA_TOPICS -}}
{{- $wrong = append $wrong "settings.KAFKA_TOPICS is empty: set it to the topics to read, comma-separated" -}}
{{- else if not (contains "^" $settings.KAFKA_TOPICS) -}}
{{- range $topic := splitList "," $settings.KAFKA_TOPICS -}}
{{- if not (regexMatch "^[A-Za-z0-9._-]{1,249}$" (trim $topic)) -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_TOPICS has %q, which is no topic's name: 1 to 249 of letters, digits, '.', '_' and '-', or an expression that starts with ^" (trim $topic)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z0-9._-]{1,249}$" $settings.DEAD_LETTER_TOPIC) -}}
{{- $wrong = append $wrong (printf "settings.DEAD_LETTER_TOPIC (%q) is no topic's name: 1 to 249 of letters, digits, '.', '_' and '-'" $settings.DEAD_LETTER_TOPIC) -}}
{{- end -}}
{{- if not $settings.KAFKA_GROUP_ID -}}
{{- $wrong = append $wrong "settings.KAFKA_GROUP_ID is empty: a group has a name" -}}
{{- end -}}
{{- if and $settings.CUSTOMERIO_URL (not (regexMatch "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$" $settings.CUSTOMERIO_URL)) -}}
{{- $wrong = append $wrong (printf "settings.CUSTOMERIO_URL (%s) is no URL of http or https with a host, a port and a path at most" $settings.CUSTOMERIO_URL) -}}
{{- end -}}

{{- if and (eq (lower $settings.EVENT_FORMAT) "schema-registry") (not $settings.SCHEMA_REGISTRY_URL) -}}
{{- $wrong = append $wrong "settings.SCHEMA_REGISTRY_URL is empty, and settings.EVENT_FORMAT is schema-registry: say where the registry is" -}}
{{- end -}}

{{- with $values.mapping -}}
{{- $mappings := list -}}
{{- $tables := list -}}
{{- if $settings.EVENT_MAPPING -}}{{- $mappings = append $mappings "settings.EVENT_MAPPING" -}}{{- end -}}
{{- if $settings.EVENT_SEGMENTS -}}{{- $tables = append $tables "settings.EVENT_SEGMENTS" -}}{{- end -}}
{{- if .rules -}}{{- $mappings = append $mappings "mapping.rules" -}}{{- end -}}
{{- if .text -}}{{- $mappings = append $mappings "mapping.text" -}}{{- end -}}
{{- if .segments -}}{{- $tables = append $tables "mapping.segments" -}}{{- end -}}
{{- if .existingConfigMap -}}
{{- range $name := list "rules" "text" "segments" -}}
{{- if index $values.mapping $name -}}
{{- $wrong = append $wrong (printf "mapping.%s and mapping.existingConfigMap are both set: put it into the existing ConfigMap" $name) -}}
{{- end -}}
{{- end -}}
{{- if .mappingKey -}}{{- $mappings = append $mappings "mapping.existingConfigMap with mapping.mappingKey" -}}{{- end -}}
{{- if .segmentsKey -}}{{- $tables = append $tables "mapping.existingConfigMap with mapping.segmentsKey" -}}{{- end -}}
{{- if not (or .mappingKey .segmentsKey) -}}
{{- $wrong = append $wrong "mapping.existingConfigMap is set, but no key of it: set mapping.mappingKey or mapping.segmentsKey" -}}
{{- end -}}
{{- end -}}
{{- if gt (len $mappings) 1 -}}
{{- $wrong = append $wrong (printf "%s are all set: there is one mapping, so set one and empty the others" (join ", " $mappings)) -}}
{{- end -}}
{{- if gt (len $tables) 1 -}}
{{- $wrong = append $wrong (printf "%s are all set: there is one table of segments, so set one and empty the others" (join ", " $tables)) -}}
{{- end -}}
{{- if and $tables (not $mappings) -}}
{{- $wrong = append $wrong (printf "%s is set, but no mapping that would ask it: an event names its segment itself" (join ", " $tables)) -}}
{{- end -}}
{{- end -}}

{{- $wrong = concat $wrong (include "segment-consumer.wrongSources" . | fromJsonArray) -}}
{{- $wrong = concat $wrong (include "segment-consumer.wrongPod" . | fromJsonArray) -}}
{{- $wrong = concat $wrong (include "segment-consumer.wrongDecimals" . | fromJsonArray) -}}

{{- $timeout := float64 $settings.CUSTOMERIO_TIMEOUT_SECONDS -}}
{{- $drain := float64 $settings.DRAIN_TIMEOUT_SECONDS -}}
{{- $session := float64 $settings.KAFKA_SESSION_TIMEOUT_SECONDS -}}
{{- $maxPoll := include "segment-consumer.maxPollSeconds" . | float64 -}}
{{- if le $drain $timeout -}}
{{- $wrong = append $wrong (printf "settings.DRAIN_TIMEOUT_SECONDS (%v) must be more than settings.CUSTOMERIO_TIMEOUT_SECONDS (%v): a drain has to outlast a request" $drain $timeout) -}}
{{- end -}}
{{- if ge $drain $maxPoll -}}
{{- $wrong = append $wrong (printf "settings.DRAIN_TIMEOUT_SECONDS (%v) must be less than max.poll.interval.ms (%v s): the group would take the member for dead" $drain $maxPoll) -}}
{{- end -}}
{{- $least := addf $timeout (include "segment-consumer.heartbeatSeconds" . | float64) 2 -}}
{{- if lt (addf $session 0.000001) $least -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_SESSION_TIMEOUT_SECONDS (%v) must be at least %v, the request's timeout + the heartbeat interval + 2: no request may outlive its membership" $session $least) -}}
{{- end -}}
{{- if and (eq (include "segment-consumer.groupProtocol" .) "classic") (gt $session $maxPoll) -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_SESSION_TIMEOUT_SECONDS (%v) must be at most max.poll.interval.ms (%v s)" $session $maxPoll) -}}
{{- end -}}

{{- range $topic := splitList "," $settings.KAFKA_TOPICS -}}
{{- $topic = trim $topic -}}
{{- $expression := ternary (printf "^(%s)$" (trimPrefix "^" $topic)) (printf "^%s$" (regexQuoteMeta $topic)) (hasPrefix "^" $topic) -}}
{{- if and $topic (regexMatch $expression $settings.DEAD_LETTER_TOPIC) -}}
{{- $wrong = append $wrong (printf "settings.DEAD_LETTER_TOPIC (%s) is read by settings.KAFKA_TOPICS (%s): dead letters would come back as events" $settings.DEAD_LETTER_TOPIC $topic) -}}
{{- end -}}
{{- end -}}

{{- if or (hasPrefix "127." $settings.HTTP_HOST) (has $settings.HTTP_HOST (list "localhost" "::1")) -}}
{{- $wrong = append $wrong (printf "settings.HTTP_HOST (%s) is the pod's loopback: probes and scrapes come from outside" $settings.HTTP_HOST) -}}
{{- end -}}
{{- if lt (int $settings.HTTP_PORT) 1024 -}}
{{- $wrong = append $wrong (printf "settings.HTTP_PORT (%v) must be from 1024 on: the pod has no right to a lower one, and 0 would be a port that no probe knows" $settings.HTTP_PORT) -}}
{{- end -}}

{{- if $values.autoscaling.enabled -}}
{{- $partitions := int $values.autoscaling.partitions -}}
{{- $max := include "segment-consumer.maxReplicas" . | int -}}
{{- if not $partitions -}}
{{- $wrong = append $wrong "autoscaling.partitions is 0: say how many partitions the topics have, as more members than that are idle" -}}
{{- else if gt $max $partitions -}}
{{- $wrong = append $wrong (printf "autoscaling.maxReplicas (%d) is more than autoscaling.partitions (%d): the others would be idle" $max $partitions) -}}
{{- else if gt (int $values.autoscaling.minReplicas) $max -}}
{{- $wrong = append $wrong (printf "autoscaling.minReplicas (%d) is more than the maximum (%d)" (int $values.autoscaling.minReplicas) $max) -}}
{{- end -}}
{{- $wrong = concat $wrong (include "segment-consumer.wrongKeda" . | fromJsonArray) -}}
{{- end -}}

{{- $rate := include "segment-consumer.requestsPerSecond" . | float64 -}}
{{- $processes := include "segment-consumer.maxProcesses" . | int -}}
{{- if gt (mulf $rate $processes) (addf (float64 $values.accountRequestsPerSecond) 0.000001) -}}
{{- $wrong = append $wrong (printf "settings.CUSTOMERIO_REQUESTS_PER_SECOND (%v) times the %d processes that can run at a time is more than accountRequestsPerSecond (%v): leave it empty and each gets its share" $rate $processes $values.accountRequestsPerSecond) -}}
{{- else if le $rate 0.0 -}}
{{- $wrong = append $wrong (printf "accountRequestsPerSecond (%v) leaves each of %d processes less than a request in 1000 s" $values.accountRequestsPerSecond $processes) -}}
{{- end -}}

{{- $limit := dig "limits" "memory" "" $values.resources | toString -}}
{{- $unit := get (dict "" 1 "k" 1000 "Ki" 1024 "M" 1000000 "Mi" 1048576 "G" 1000000000 "Gi" 1073741824) (regexFind "[A-Za-z]*$" $limit) -}}
{{- if and $unit (regexMatch "^[0-9]+([.][0-9]+)?[A-Za-z]*$" $limit) -}}
{{- $least := include "segment-consumer.memoryMebibytes" . | int -}}
{{- if lt (divf (mulf (regexFind "^[0-9.]+" $limit) $unit) 1048576) (float64 $least) -}}
{{- $wrong = append $wrong (printf "resources.limits.memory (%s) is less than the %d MiB that settings.BUFFER_MAX_IDS (%s) can take: with the API down, members would be killed again and again" $limit $least (include "segment-consumer.text" $settings.BUFFER_MAX_IDS)) -}}
{{- end -}}
{{- end -}}

{{- $rule := $values.monitoring.prometheusRule -}}
{{- if regexMatch "[{}]" $rule.selector -}}
{{- $wrong = append $wrong (printf "monitoring.prometheusRule.selector (%s) has braces in it: set it to what stands between them" $rule.selector) -}}
{{- end -}}
{{- $shortest := addf $drain (float64 $settings.BATCH_LINGER_SECONDS) -}}
{{- if le (float64 $rule.stuckSeconds) $shortest -}}
{{- $wrong = append $wrong (printf "monitoring.prometheusRule.stuckSeconds (%v) must be more than the linger and a drain (%v): the alert would fire when all is well" $rule.stuckSeconds $shortest) -}}
{{- end -}}
{{- if and $rule.enabled (not $values.monitoring.podMonitor.enabled) (not $rule.selector) -}}
{{- $wrong = append $wrong "monitoring.prometheusRule is on without the PodMonitor: set monitoring.prometheusRule.selector to matchers that find this release's series, else no alert would ever fire" -}}
{{- end -}}

{{- if $wrong -}}
{{- fail (printf "\n\nThese values can't be:\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end }}
