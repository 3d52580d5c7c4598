{{- /* How KEDA logs in: as the daemon does, from where the daemon's variables come. */}}

{{- /* A JSON object: parameter of KEDA's scaler -> variable. */}}
{{- define "segment-consumer.kedaParameters" -}}
{{- $protocol := lower .Values.settings.KAFKA_SECURITY_PROTOCOL -}}
{{- $parameters := dict -}}
{{- if contains "sasl" $protocol -}}
{{- $parameters = dict "username" "KAFKA_SASL_USERNAME" "password" "KAFKA_SASL_PASSWORD" -}}
{{- end -}}
{{- if contains "ssl" $protocol -}}
{{- $parameters = merge $parameters (dict "ca" "KAFKA_SSL_CA_LOCATION" "cert" "KAFKA_SSL_CERTIFICATE_LOCATION" "key" "KAFKA_SSL_KEY_LOCATION" "keyPassword" "KAFKA_SSL_KEY_PASSWORD") -}}
{{- end -}}
{{- toJson $parameters -}}
{{- end }}

{{- /*
A JSON object: "secret" and "configMap" -> where KEDA reads parameters from them; "unknown" -> variables
that are given and that KEDA can't read.
*/}}
{{- define "segment-consumer.kedaLogin" -}}
{{- $login := dict "secret" list "configMap" list "unknown" list -}}
{{- $origins := include "segment-consumer.origins" . | fromJsonArray -}}
{{- $existing := .Values.secrets.existingSecret -}}
{{- $key := dict -}}
{{- range $origins -}}
{{- if eq .variable "KAFKA_SSL_KEY_LOCATION" -}}{{- $key = . -}}{{- end -}}
{{- end -}}
{{- range $parameter, $variable := include "segment-consumer.kedaParameters" . | fromJson -}}
{{- $found := dict -}}
{{- range ternary (list) $origins (and (eq $parameter "keyPassword") (empty $key)) -}}
{{- if eq .variable $variable -}}{{- $found = . -}}{{- end -}}
{{- end -}}
{{- /* Which keys an existing Secret has is not known here; KEDA takes one that is missing for empty. */}}
{{- if and (not $found) $existing (or (eq $parameter "password") (and (eq $parameter "keyPassword") $key)) -}}
{{- $found = dict "kind" "secret" "name" $existing "key" $variable -}}
{{- end -}}
{{- if $found.kind -}}
{{- $target := dict "parameter" $parameter "name" $found.name "key" $found.key -}}
{{- $_ := set $login $found.kind (append (get $login $found.kind) $target) -}}
{{- else if or $found (has $parameter (list "username" "password")) -}}
{{- $_ := set $login "unknown" (append $login.unknown $variable) -}}
{{- end -}}
{{- end -}}
{{- toJson $login -}}
{{- end }}

{{- /* The region that the members have, as far as the values say it. */}}
{{- define "segment-consumer.awsRegion" -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "AWS_REGION" -}}{{ .value }}{{- end -}}
{{- end -}}
{{- end }}

{{- define "segment-consumer.wrongKeda" -}}
{{- $wrong := list -}}
{{- $mechanism := upper .Values.settings.KAFKA_SASL_MECHANISM -}}
{{- if not .Values.autoscaling.authenticationRef -}}
{{- if has $mechanism (list "OAUTHBEARER" "GSSAPI") -}}
{{- $wrong = append $wrong (printf "autoscaling is on and settings.KAFKA_SASL_MECHANISM is %s: the chart can't give KEDA a token or a keytab, set autoscaling.authenticationRef or bring a ScaledObject of your own" $mechanism) -}}
{{- else -}}
{{- range (include "segment-consumer.kedaLogin" . | fromJson).unknown -}}
{{- $wrong = append $wrong (printf "autoscaling is on, and KEDA can't read %s where the daemon does: set autoscaling.authenticationRef to a TriggerAuthentication that has it" .) -}}
{{- end -}}
{{- end -}}
{{- else if and (eq (lower .Values.settings.KAFKA_OAUTH_PROVIDER) "aws-msk-iam") (not (include "segment-consumer.awsRegion" .)) -}}
{{- $wrong = append $wrong "autoscaling is on, and extraEnv has no AWS_REGION with a value: KEDA has to know it, too" -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end }}
