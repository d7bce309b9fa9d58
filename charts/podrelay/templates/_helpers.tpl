{{/* Labels of every object. */}}
{{- define "podrelay.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: podrelay
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: podrelay
{{- end }}

{{/* The selector of the operator's pods; never changes. */}}
{{- define "podrelay.operatorSelector" -}}
app.kubernetes.io/name: podrelay
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* The selector of the gateway's pods; never changes. */}}
{{- define "podrelay.gatewaySelector" -}}
app.kubernetes.io/name: podrelay
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "podrelay.image" -}}
{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* CEL: the pod that the request's token is bound to, and its UID; empty if it is not bound to a pod. */}}
{{- define "podrelay.podOfToken" -}}
request.userInfo.?extra[?'authentication.kubernetes.io/pod-name'].orValue([''])[0]
{{- end }}
{{- define "podrelay.podUIDOfToken" -}}
request.userInfo.?extra[?'authentication.kubernetes.io/pod-uid'].orValue([''])[0]
{{- end }}

{{/*
CEL: the request's token is bound to a pod of the namespace of the request. The name of a service account contains its
namespace, and a token can only be bound to a pod of that namespace. Names of pods are unique in their namespace only.
*/}}
{{- define "podrelay.isPodOfThisNamespace" -}}
variables.pod != '' && request.userInfo.username.startsWith('system:serviceaccount:' + request.namespace + ':')
{{- end }}

{{/* CEL: the TaskRun of the pod `variables.pod`: all but the last segment of the pod's name. */}}
{{- define "podrelay.runOfPod" -}}
variables.pod.contains('-') ? variables.pod.substring(0, variables.pod.lastIndexOf('-')) : ''
{{- end }}

{{/*
CEL: the TaskRun `variables.run` is the only owner of the object, and not its controller. A wrong UID needs no rule:
the garbage collector removes an object whose owner does not exist.
*/}}
{{- define "podrelay.ownedByRun" -}}
object.metadata.?ownerReferences.orValue([]).size() == 1 &&
object.metadata.?ownerReferences.orValue([]).all(owner,
owner.kind == 'TaskRun' && owner.apiVersion.startsWith('podrelay.dev/') && owner.name == variables.run &&
!owner.?controller.orValue(false) && !owner.?blockOwnerDeletion.orValue(false))
{{- end }}

{{/*
CEL: the request does not come from Kubernetes' own controllers. The garbage collector removes finalizers and deleted
owners, and the storage version migrator writes objects unchanged; a policy that refused this would block deletions.
*/}}
{{- define "podrelay.notKubernetesItself" -}}
!(request.userInfo.username in ['system:kube-controller-manager',
'system:serviceaccount:kube-system:generic-garbage-collector',
'system:serviceaccount:kube-system:storage-version-migrator-controller'])
{{- end }}

{{/*
CEL: the caller may not write for others. The operator may, because it writes records of pods that died; so may admins, who
restore backups.
*/}}
{{- define "podrelay.notAManager" -}}
!authorizer.group('podrelay.dev').resource('taskiterations').namespace(request.namespace).check('manage').allowed() &&
!authorizer.group('podrelay.dev').resource('taskruns').namespace(request.namespace).check('manage').allowed()
{{- end }}

{{/* The binding of the policy of this name: it applies everywhere, and denies. */}}
{{- define "podrelay.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "podrelay.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
{{- end }}

{{/*
Fails if a namespace in a value does not exist in the cluster. Otherwise Helm would start to install, fail at the first object
in that namespace, and leave a failed release. Without a cluster (helm template) `lookup` finds nothing, not even kube-system,
and nothing is checked. The namespace of the release is skipped, because Helm may be about to create it.
*/}}
{{- define "podrelay.namespacesExist" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" }}
{{- range $name := .namespaces }}
{{- if not (or (eq $name $.root.Release.Namespace) (lookup "v1" "Namespace" "" $name)) }}
{{- fail (printf "\n\nThe value %s names the namespace %s, which does not exist. Create it, then run the same command again:\n\n  kubectl create namespace %s\n" $.value $name $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
