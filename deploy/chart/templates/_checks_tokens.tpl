{{- /* What is wrong with where tokens come from: a JSON array of sentences. Takes root and places. */}}
{{- define "segment-consumer.wrongTokens" -}}
{{- $wrong := list -}}
{{- $settings := .root.Values.settings -}}
{{- $unseen := or .root.Values.secrets.existingSecret $settings.SECRETS_DIR -}}
{{- $provider := lower $settings.KAFKA_OAUTH_PROVIDER -}}
{{- $isOauth := eq (upper $settings.KAFKA_SASL_MECHANISM) "OAUTHBEARER" -}}
{{- if and $provider (not $isOauth) -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_OAUTH_PROVIDER is %s, but settings.KAFKA_SASL_MECHANISM (%q) is not OAUTHBEARER: nobody would ask for a token" $provider $settings.KAFKA_SASL_MECHANISM) -}}
{{- else if and $isOauth (not $provider) (not $unseen) (not (hasKey .places "KAFKA_CONFIG")) -}}
{{- $wrong = append $wrong "settings.KAFKA_OAUTH_PROVIDER is empty, and settings.KAFKA_SASL_MECHANISM is OAUTHBEARER: say where tokens come from" -}}
{{- else if eq $provider "oidc" -}}
{{- $url := $settings.KAFKA_OAUTH_TOKEN_ENDPOINT_URL -}}
{{- if not (regexMatch "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$" $url) -}}
{{- $wrong = append $wrong (printf "settings.KAFKA_OAUTH_TOKEN_ENDPOINT_URL (%q) is no URL of http or https, and settings.KAFKA_OAUTH_PROVIDER is oidc: say where tokens are" $url) -}}
{{- end -}}
{{- if not (or $settings.SECRETS_DIR (hasKey .places "KAFKA_OAUTH_CLIENT_ID")) -}}
{{- $wrong = append $wrong "settings.KAFKA_OAUTH_CLIENT_ID is empty, and settings.KAFKA_OAUTH_PROVIDER is oidc: say who asks for tokens" -}}
{{- end -}}
{{- if not (or $unseen (hasKey .places "KAFKA_OAUTH_CLIENT_SECRET")) -}}
{{- $wrong = append $wrong "secrets.KAFKA_OAUTH_CLIENT_SECRET is empty, and nothing else has it (secrets.existingSecret, secrets.sources, extraEnv, settings.SECRETS_DIR): oidc needs a secret" -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end }}
