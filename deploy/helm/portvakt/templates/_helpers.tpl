{{- define "portvakt.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "portvakt.labels" -}}
{{ include "portvakt.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The sidecar. `restartPolicy: Always` in initContainers makes it a native one. */}}
{{- define "portvakt.sidecar" -}}
- name: portvakt
  image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- if .Values.sidecar.native }}
  restartPolicy: Always
  {{- end }}
  {{- with .Values.sidecar.env }}
  env: {{- toYaml . | nindent 2 }}
  {{- end }}
  ports:
  - {name: http, containerPort: 8080}
  - {name: https, containerPort: 8443}
  - {name: admin, containerPort: 9464}
  # None of them waits for the CA or for the application: each would wait for the other.
  startupProbe:
    httpGet: {path: /livez, port: admin}
    periodSeconds: 1
    failureThreshold: 60
  livenessProbe:
    httpGet: {path: /livez, port: admin}
    periodSeconds: 10
    timeoutSeconds: 3
  readinessProbe:
    httpGet: {path: /readyz, port: admin}
    periodSeconds: 5
    timeoutSeconds: 3
  resources: {{- toYaml .Values.sidecar.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  volumeMounts:
  - {name: config, mountPath: /etc/portvakt, readOnly: true}
  - {name: state, mountPath: /var/lib/portvakt}
  {{- range .Values.secrets }}
  - {name: {{ printf "secret-%s" . }}, mountPath: {{ printf "/run/secrets/%s" . }}, readOnly: true}
  {{- end }}
{{- end }}
