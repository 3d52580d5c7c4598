{{- /* What is wrong with where variables come from: a JSON array of sentences. */}}
{{- define "segment-consumer.wrongSources" -}}
{{- $wrong := list -}}
{{- $settings := .Values.settings -}}
{{- $secrets := omit .Values.secrets "existingSecret" "sources" -}}
{{- $places := dict -}}
{{- $elsewhere := list -}}
{{- range include "segment-consumer.origins" . | fromJsonArray -}}
{{- $_ := set $places .variable (append (get $places .variable | default list) .place) -}}
{{- if has .place (list "secrets.sources" "extraEnv") -}}
{{- $elsewhere = append $elsewhere .variable -}}
{{- end -}}
{{- end -}}

{{- $computed := list "SECRETS_DIR" "KAFKA_GROUP_INSTANCE_ID" "KAFKA_TOPICS" "KAFKA_SECURITY_PROTOCOL" "KAFKA_SASL_MECHANISM" "KAFKA_OAUTH_PROVIDER" "KAFKA_OAUTH_TOKEN_ENDPOINT_URL" "CUSTOMERIO_URL" "CUSTOMERIO_REQUESTS_PER_SECOND" "SCHEMA_REGISTRY_URL" "EVENT_MAPPING" "EVENT_SEGMENTS" -}}
{{- range $name := $elsewhere | uniq -}}
{{- if has $name $computed -}}
{{- $wrong = append $wrong (printf "%s has %s, which the chart counts on: use settings or staticMembership" (get $places $name | last) $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $given := $places -}}
{{- if gt (len $given) 1 -}}
{{- $wrong = append $wrong (printf "%s comes from %s: leave it in one place" $name (join " and " $given)) -}}
{{- end -}}
{{- end -}}
{{- range $at, $source := .Values.secrets.sources -}}
{{- if and .secret .configMap -}}
{{- $wrong = append $wrong (printf "secrets.sources[%d] names a secret (%s) and a configMap (%s): it is one of them, make two entries" $at .secret .configMap) -}}
{{- else if not (or .secret .configMap) -}}
{{- $wrong = append $wrong (printf "secrets.sources[%d] names neither a secret nor a configMap: say whose keys these are" $at) -}}
{{- end -}}
{{- range $name, $_ := .keys -}}
{{- if not (or (hasKey $settings $name) (hasKey $secrets $name) (has $name (list "SSL_CERT_FILE" "KAFKA_GROUP_INSTANCE_ID"))) -}}
{{- $wrong = append $wrong (printf "secrets.sources has %s, which is no variable of the daemon" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- range .Values.extraEnv -}}
{{- if and (not .valueFrom) (or (hasKey $settings .name) (hasKey $secrets .name) (eq .name "KAFKA_GROUP_INSTANCE_ID")) -}}
{{- $wrong = append $wrong (printf "extraEnv has %s, which is the chart's own: use settings, secrets or staticMembership; only from a Secret or a ConfigMap (valueFrom) it may stand there" .name) -}}
{{- end -}}
{{- end -}}

{{- $variables := dict "sasl.password" "KAFKA_SASL_PASSWORD" "ssl.key.password" "KAFKA_SSL_KEY_PASSWORD" "sasl.oauthbearer.client.secret" "KAFKA_OAUTH_CLIENT_SECRET" "sasl.oauthbearer.client.credentials.client.secret" "KAFKA_OAUTH_CLIENT_SECRET" -}}
{{- range $name, $_ := $settings.KAFKA_CONFIG -}}
{{- if hasKey $variables $name -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_CONFIG has %s, which has a variable of its own: put it into secrets, as %s" $name (get $variables $name)) -}}
{{- else if regexMatch "(password|passphrase|secret|key[.]pem)$" $name -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_CONFIG has %s, which is a secret: put all of KAFKA_CONFIG into secrets, or as JSON into a Secret of yours, under this name" $name) -}}
{{- end -}}
{{- end -}}

{{- with $settings.SECRETS_DIR -}}
{{- if not (hasPrefix "/" .) -}}
{{- $wrong = append $wrong (printf "settings.SECRETS_DIR (%s) is no path from the root" .) -}}
{{- end -}}
{{- if include "segment-consumer.wholeSecret" $ -}}
{{- $wrong = append $wrong (printf "settings.SECRETS_DIR (%s) is not the chart's directory, so nobody would read secrets.*: leave those empty" .) -}}
{{- end -}}
{{- range $name, $given := $places -}}
{{- if and (has "secrets.sources" $given) (eq $name (include "segment-consumer.file" $name)) -}}
{{- $wrong = append $wrong (printf "settings.SECRETS_DIR (%s) is not the chart's directory, so nobody would read %s of secrets.sources" $settings.SECRETS_DIR $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- if not (hasKey $places "KAFKA_BOOTSTRAP_SERVERS") -}}
{{- $wrong = append $wrong "settings.KAFKA_BOOTSTRAP_SERVERS is empty: set it to host:port,host:port" -}}
{{- else if not $settings.KAFKA_BOOTSTRAP_SERVERS -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.kafkaPorts) -}}
{{- $wrong = append $wrong "networkPolicy.kafkaPorts is empty, and KAFKA_BOOTSTRAP_SERVERS is not in settings: say which ports the brokers have" -}}
{{- end -}}
{{- if .Values.autoscaling.enabled -}}
{{- $wrong = append $wrong "autoscaling is on, and KAFKA_BOOTSTRAP_SERVERS is not in settings: KEDA has to know the brokers, too" -}}
{{- end -}}
{{- end -}}

{{- $unseen := or .Values.secrets.existingSecret $settings.SECRETS_DIR -}}
{{- range $name := list "CUSTOMERIO_SITE_ID" "CUSTOMERIO_API_KEY" -}}
{{- if not (or $unseen (hasKey $places $name)) -}}
{{- $wrong = append $wrong (printf "secrets.%s is empty, and nothing else has it (secrets.existingSecret, secrets.sources, extraEnv, settings.SECRETS_DIR): the daemon needs credentials of the Track API" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $secrets -}}
{{- if and $.Values.secrets.existingSecret $value -}}
{{- $or := ternary ", or into settings.KAFKA_CONFIG if it has no secret" "" (eq $name "KAFKA_CONFIG") -}}
{{- $wrong = append $wrong (printf "secrets.%s and secrets.existingSecret are both set: put it into the existing Secret, under its name%s" $name $or) -}}
{{- end -}}
{{- end -}}

{{- $mechanism := upper $settings.KAFKA_SASL_MECHANISM -}}
{{- if contains "sasl" (lower $settings.KAFKA_SECURITY_PROTOCOL) -}}
{{- if not $mechanism -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_SASL_MECHANISM is empty, and settings.KAFKA_SECURITY_PROTOCOL is %s: say how to log in" $settings.KAFKA_SECURITY_PROTOCOL) -}}
{{- else if regexMatch "^(PLAIN|SCRAM-.*)$" $mechanism -}}
{{- if not (or $settings.SECRETS_DIR (hasKey $places "KAFKA_SASL_USERNAME")) -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_SASL_USERNAME is empty: %s needs a user" $mechanism) -}}
{{- end -}}
{{- if not (or $unseen (hasKey $places "KAFKA_SASL_PASSWORD")) -}}
{{- $wrong = append $wrong (printf "secrets.KAFKA_SASL_PASSWORD is empty, and nothing else has it (secrets.existingSecret, secrets.sources, extraEnv, settings.SECRETS_DIR): %s needs a password" $mechanism) -}}
{{- end -}}
{{- end -}}
{{- else if or $mechanism (hasKey $places "KAFKA_SASL_USERNAME") (hasKey $places "KAFKA_SASL_PASSWORD") -}}
{{- $wrong = append $wrong (printf "KAFKA_SASL_* is set, but settings.KAFKA_SECURITY_PROTOCOL (%q) is neither sasl_plaintext nor sasl_ssl: nobody would log in" $settings.KAFKA_SECURITY_PROTOCOL) -}}
{{- end -}}

{{- $wrong = concat $wrong (include "segment-consumer.wrongTokens" (dict "root" . "places" $places) | fromJsonArray) -}}

{{- if not (contains "ssl" (lower $settings.KAFKA_SECURITY_PROTOCOL)) -}}
{{- range $name, $given := $places -}}
{{- if regexMatch "^KAFKA_SSL_.*_LOCATION$" $name -}}
{{- $wrong = append $wrong (printf "%s comes from %s, but settings.KAFKA_SECURITY_PROTOCOL (%q) is neither ssl nor sasl_ssl: the files would not be used" $name (join " and " $given) $settings.KAFKA_SECURITY_PROTOCOL) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.kafkaTls -}}
{{- $certificate := or (hasKey $places "KAFKA_SSL_CERTIFICATE_LOCATION") (ne .certificateKey "") -}}
{{- if ne $certificate (or (hasKey $places "KAFKA_SSL_KEY_LOCATION") (ne .privateKeyKey "")) -}}
{{- $wrong = append $wrong "KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION (or kafkaTls.certificateKey and kafkaTls.privateKeyKey) go together: a client has both or none" -}}
{{- end -}}
{{- if and .existingSecret (not (or .caKey .certificateKey)) -}}
{{- $wrong = append $wrong "kafkaTls.existingSecret is set, but no key of it: set kafkaTls.caKey, or kafkaTls.certificateKey and kafkaTls.privateKeyKey" -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end }}
