{{- /* The port that a URL leads to; without a scheme it is http's, as for the daemon's proxies. */}}
{{- define "segment-consumer.port" -}}
{{- $url := urlParse (contains "://" . | ternary (trim .) (print "http://" (trim .))) -}}
{{ regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (get (dict "http" "80" "https" "443") $url.scheme | default "1080") }}
{{- end }}

{{- /* Ports of a rule, each once. */}}
{{- define "segment-consumer.ports" -}}
{{- $ports := list -}}
{{- range . -}}
{{- $ports = append $ports (dict "port" (int .) "protocol" "TCP") -}}
{{- end -}}
{{ uniq $ports | toYaml }}
{{- end }}
