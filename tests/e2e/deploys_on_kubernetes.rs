//! The files for Kubernetes are what the versions that they are for accept, kubectl and helm make the same of them, nothing in
//! a Pod waits for the CA, and the Pod really serves.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::clock::PATIENCE;
use crate::support::home::run;
use crate::support::kubernetes::{faults, helm, kustomize, lint, yaml};
use crate::support::podman::{GREETING, IMAGE, deploy};
use crate::support::ports::free_port;
use crate::support::{Curl, Podman, eventually};

#[test]
fn given_each_form_when_rendered_then_the_versions_of_kubernetes_that_it_is_for_accept_it() {
    let (ordinary, native): (Vec<_>, Vec<_>) =
        every_form().into_iter().partition(|(name, _)| name.contains("ordinary"));
    for (forms, versions) in [(native, NATIVE), (ordinary, ORDINARY)] {
        let documents: Vec<_> = forms.into_iter().flat_map(|(_, documents)| documents).collect();
        for version in versions {
            assert_eq!(faults(&documents, version), [""; 0], "{version}");
        }
    }
    let mut broken = kustomize(&deploy("kubernetes/overlays/prometheus"));
    *at(&mut broken, "Deployment", "/spec/template/spec/initContainers/0/restartPolicies") = json!("Always");
    *at(&mut broken, "PodMonitor", "/spec/podMetricsEndpoints") = json!([{ "port": 9464 }]);
    assert_eq!(faults(&broken, NATIVE[0]).len(), 2, "what is wrong is seen: {:?}", faults(&broken, NATIVE[0]));
}

#[test]
fn given_each_form_then_nothing_in_the_pod_waits_for_the_ca() {
    for (name, documents) in every_form() {
        let pod = &get(&documents, "Deployment", "/spec/template/spec");
        let sidecar = sidecar(pod);
        let probe = |kind: &str| sidecar[kind]["httpGet"].clone();
        assert_eq!(probe("startupProbe"), json!({ "path": "/livez", "port": "admin" }), "{name}");
        assert_eq!(probe("livenessProbe"), json!({ "path": "/livez", "port": "admin" }), "{name}");
        assert_eq!(probe("readinessProbe"), json!({ "path": "/readyz", "port": "admin" }), "{name}");
        let is_native = pod["initContainers"][0]["restartPolicy"] == "Always";
        assert_eq!(is_native, !name.contains("ordinary"), "{name}");
        let challenge = find(&documents, "Service", |service| service["spec"]["publishNotReadyAddresses"] == true);
        assert_eq!(challenge["spec"]["ports"], json!([{ "name": "http", "port": 80, "targetPort": 8080 }]), "{name}");
    }
}

/// Numbers: before Kubernetes 1.33 a Service does not find the name of a port that only a native sidecar has
/// (kubernetes#127958), and has no endpoints; network plugins that enforce a NetworkPolicy have had the same gap.
#[test]
fn given_each_form_then_services_and_policies_name_ports_by_their_numbers() {
    for (name, documents) in every_form() {
        let service = find(&documents, "Service", |service| service["spec"]["type"] == "LoadBalancer");
        let ports = json!([{ "name": "https", "port": 443, "targetPort": 8443 },
                           { "name": "http", "port": 80, "targetPort": 8080 }]);
        assert_eq!(service["spec"]["ports"], ports, "{name}");
        let policy = find(&documents, "NetworkPolicy", |policy| policy["spec"]["policyTypes"][0] == "Ingress");
        let [clients, operators] = [0, 1].map(|at| policy["spec"]["ingress"][at].clone());
        let open = json!([{ "port": 8080, "protocol": "TCP" }, { "port": 8443, "protocol": "TCP" }]);
        assert_eq!(clients, json!({ "ports": open }), "{name}");
        assert_eq!(operators["ports"], json!([{ "port": 9464, "protocol": "TCP" }]), "{name}");
        assert!(operators["from"][0]["namespaceSelector"]["matchLabels"].is_object(), "{name}");
    }
}

#[test]
fn given_each_form_then_services_policies_and_monitors_select_its_pod_and_no_other() {
    for (name, documents) in every_form() {
        let labels = get(&documents, "Deployment", "/spec/selector/matchLabels");
        assert!(labels.as_object().is_some_and(|labels| !labels.is_empty()), "{name}");
        for (kind, pointer) in [
            ("Service", "/spec/selector"),
            ("NetworkPolicy", "/spec/podSelector/matchLabels"),
            ("PodMonitor", "/spec/selector/matchLabels"),
        ] {
            for document in documents.iter().filter(|document| document["kind"] == kind) {
                assert_eq!(document.pointer(pointer), Some(&labels), "{name}: {kind} {}", document["metadata"]["name"]);
            }
        }
    }
}

/// `sleep` in `preStop` is new in Kubernetes 1.29, and on by default from 1.30 on; before, the API server refuses the Pod.
#[test]
fn given_each_form_then_the_application_sleeps_before_its_end_only_where_kubernetes_can() {
    for (name, documents) in every_form() {
        let application = get(&documents, "Deployment", "/spec/template/spec/containers/0");
        let expected =
            if name.contains("ordinary") { Value::Null } else { json!({ "preStop": { "sleep": { "seconds": 5 } } }) };
        assert_eq!(application["lifecycle"], expected, "{name}");
    }
    let mine = json!({ "preStop": { "exec": { "command": ["sleep", "5"] } } });
    let documents = chart(&json!({ "app": { "lifecycle": mine } }));
    assert_eq!(get(&documents, "Deployment", "/spec/template/spec/containers/0/lifecycle"), mine);
}

#[test]
fn given_each_form_then_ports_rights_and_state_are_as_portvakt_needs_them() {
    for (name, documents) in every_form() {
        let pod = get(&documents, "Deployment", "/spec/template/spec");
        let sidecar = sidecar(&pod);
        let ports = json!([{ "name": "http", "containerPort": 8080 }, { "name": "https", "containerPort": 8443 },
                           { "name": "admin", "containerPort": 9464 }]);
        assert_eq!(sidecar["ports"], ports, "{name}");
        let rights = &sidecar["securityContext"];
        assert_eq!(rights["capabilities"], json!({ "drop": ["ALL"] }), "{name}");
        assert!(rights["readOnlyRootFilesystem"] == true && rights["runAsUser"] == 65532, "{name}");
        assert_eq!(pod["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch", "{name}");
        let state = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "state").unwrap();
        assert!(state["persistentVolumeClaim"]["claimName"].is_string(), "{name}");
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > DRAIN, "{name}");
    }
}

#[test]
fn given_secrets_then_they_are_mounted_where_the_configuration_looks() {
    let chart = chart(&json!({ "secrets": ["bankid"], "config": config_of("bankid-egress") }));
    for (documents, secret) in [
        (kustomize(&deploy("kubernetes/overlays/bankid-egress")), "bankid"),
        (kustomize(&deploy("kubernetes/overlays/legacy-https")), "legacy-trust"),
        (chart, "bankid"),
    ] {
        let pod = get(&documents, "Deployment", "/spec/template/spec");
        let volumes = pod["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|volume| volume["secret"]["secretName"] == secret).expect("the Secret");
        let mounts = sidecar(&pod)["volumeMounts"].as_array().unwrap().clone();
        let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]).expect("its mount");
        let folder = format!("/run/secrets/{secret}");
        assert!(mount["mountPath"] == *folder && mount["readOnly"] == true, "{mount}");
        assert!(configuration(&documents).contains(&format!("\"{folder}/")), "{secret}");
    }
}

#[test]
fn given_the_configuration_of_each_form_when_checked_offline_then_good() {
    for (name, documents) in every_form() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("portvakt.toml"), configuration(&documents)).unwrap();
        let output = run(dir.path(), &["check", "--offline", "--config", "portvakt.toml"]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// `UPDATE_GOLDEN=1` writes the copies anew.
#[test]
fn given_the_plain_rules_and_the_dashboard_then_their_copies_say_the_same() {
    let mut groups = Vec::new();
    let mut operator = String::from(RULE_HEAD);
    for (name, text) in plain_rules() {
        keep(&deploy(&format!("helm/portvakt/files/{name}")), &text);
        let body = text.split_once("groups:\n").expect("groups").1;
        operator += &body.lines().map(|line| format!("  {line}\n")).collect::<String>();
        groups.extend(yaml(&text)[0]["groups"].as_array().unwrap().clone());
    }
    keep(&deploy("kubernetes/overlays/prometheus/rules.yaml"), &operator);
    let dashboard = fs::read_to_string(deploy("grafana/portvakt.json")).unwrap();
    keep(&deploy("kubernetes/overlays/prometheus/portvakt.json"), &dashboard);
    keep(&deploy("helm/portvakt/files/portvakt.json"), &dashboard);
    let copies = fs::read_dir(deploy("helm/portvakt/files")).unwrap().count();
    assert_eq!(copies, plain_rules().len() + 1, "nothing is left over");

    for (documents, label) in
        [(kustomize(&deploy("kubernetes/overlays/prometheus")), "kubectl"), (full_chart(), "helm")]
    {
        assert_eq!(get(&documents, "PrometheusRule", "/spec/groups"), json!(groups), "{label}");
        let kept = find(&documents, "ConfigMap", |map| map["data"]["portvakt.json"].is_string());
        assert_eq!(kept["data"]["portvakt.json"].as_str().unwrap().trim(), dashboard.trim(), "{label}");
        assert_eq!(kept["metadata"]["labels"]["grafana_dashboard"], "1", "{label}");
    }
}

#[test]
fn given_the_chart_and_the_base_then_the_sidecar_is_the_same() {
    let base = get(&kustomize(&deploy("kubernetes/base")), "Deployment", "/spec/template/spec");
    let chart = get(&chart(&json!({})), "Deployment", "/spec/template/spec");
    let but_pull_policy = |pod: &Value| {
        let mut sidecar = sidecar(pod);
        sidecar.as_object_mut().unwrap().remove("imagePullPolicy");
        sidecar
    };
    assert_eq!(but_pull_policy(&chart), but_pull_policy(&base));
    assert_eq!(chart["containers"], base["containers"]);
    assert_eq!(chart["securityContext"], base["securityContext"]);
}

#[test]
fn given_the_chart_when_linted_or_given_a_slip_then_told() {
    let found = lint(&deploy("helm/portvakt"));
    assert!(found.iter().all(|(severity, _)| *severity < 2), "{found:?}");

    let refused = helm(&deploy("helm/portvakt"), "shop", &json!({ "podMonitors": { "enabled": true } }));
    assert!(refused.as_ref().is_err_and(|told| told.contains("podMonitors")), "{refused:?}");
}

#[test]
fn given_the_texts_then_the_versions_of_kubernetes_that_they_name_are_those_that_are_tried() {
    let read = |path: &str| fs::read_to_string(deploy(path)).unwrap();
    let (native, ordinary) = (NATIVE[0], ORDINARY[0]);
    for path in ["kubernetes/README.md", "kubernetes/base/kustomization.yaml"] {
        let text = read(path).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&format!("Kubernetes {native} and later")), "{path}");
    }
    assert!(read("kubernetes/overlays/ordinary-container/kustomization.yaml").contains(&format!("{ordinary} to")));
    assert!(read("helm/portvakt/Chart.yaml").contains(&format!("kubeVersion: \">={ordinary}.0-0\"")));
    assert!(read("helm/portvakt/values.yaml").contains(&format!("Kubernetes {ordinary} to")));
}

/// What the page says to type is what the forms name.
#[test]
fn given_the_page_then_its_commands_are_those_of_the_program_and_its_containers_those_of_the_pod() {
    let page = fs::read_to_string(deploy("kubernetes/README.md")).unwrap();
    let typed: Vec<_> = page.split("-c portvakt -- portvakt ").skip(1).collect();
    assert_eq!(typed.len(), 3);
    for rest in typed {
        let verb: Vec<_> = rest.split(['`', '\n']).next().unwrap().split_whitespace().collect();
        let output = run(Path::new("/"), &[&verb[..], &["--help"]].concat());
        assert!(output.status.success(), "{verb:?}");
    }
    let base = kustomize(&deploy("kubernetes/base"));
    assert_eq!(get(&base, "Deployment", "/metadata/name"), "app");
    for overlay in fs::read_dir(deploy("kubernetes/overlays")).unwrap() {
        let name = overlay.unwrap().file_name().into_string().unwrap();
        let words = ["legacy", "bankid", "prometheus", "ordinary"].iter().filter(|word| name.contains(*word)).count();
        assert_eq!(words, 1, "{name} is not told of");
    }
}

/// podman knows no native sidecars, so that it plays the overlay for an ordinary container.
#[test]
fn given_the_pod_when_played_then_the_application_is_served_and_a_new_pod_keeps_the_state() {
    let (podman, https) = (Podman::new(), free_port());
    podman.build_portvakt();
    podman.build_app();
    podman.run(&["tag", IMAGE, "portvakt:0.1.0"]);
    let file = podman.folder("pod").join("pod.yaml");
    fs::write(&file, played(https)).unwrap();
    let file = file.to_str().unwrap();

    podman.run(&["kube", "play", "--network", "slirp4netns", file]);
    let first = served(&podman, https);
    podman.run(&["kube", "down", file]);
    let again = played(https)
        .split("---\n")
        .filter(|text| !text.contains("PersistentVolumeClaim\""))
        .collect::<Vec<_>>()
        .join("---\n");
    fs::write(file, again).unwrap();
    podman.run(&["kube", "play", "--network", "slirp4netns", file]);

    assert_eq!(served(&podman, https), first, "the certificate was kept");
}

/// The overlay, with what needs the world replaced: a certificate of the internal CA, and free ports of this machine.
fn played(https: u16) -> String {
    let mut documents = kustomize(&deploy("kubernetes/overlays/ordinary-container"));
    let config = configuration(&documents).replace("[acme]\nagree_tos = true\n", "");
    let config = config.replace("[[site]]\n", "[[site]]\ncertificate = \"internal\"\n");
    *at(&mut documents, "ConfigMap", "/data/portvakt.toml") = json!(config);
    let port =
        |name: &str, inside: u16, outside: u16| json!({ "name": name, "containerPort": inside, "hostPort": outside });
    let ports = json!([port("http", 8080, free_port()), port("https", 8443, https), port("admin", 9464, free_port())]);
    *at(&mut documents, "Deployment", "/spec/template/spec/containers/1/ports") = ports;
    documents.iter().map(|document| format!("{document}\n---\n")).collect()
}

/// Waits until the application is served, and gives the certificate's fingerprint.
fn served(podman: &Podman, https: u16) -> String {
    eventually("the application is served", PATIENCE, || {
        let curl = Curl::new().resolve("app.example.com", https).with(&["--insecure"]);
        let answer = curl.try_get(&format!("https://app.example.com:{https}/")).ok()?;
        (answer.status == 200).then(|| assert_eq!(answer.text(), GREETING))
    });
    let told = podman.run(&["exec", "app-pod-0-portvakt", "portvakt", "status"]);
    let certificate = told.split("certificate app.example.com").nth(1).expect("the certificate");
    certificate.lines().find_map(|line| line.trim().strip_prefix("sha256")).expect("its fingerprint").trim().to_owned()
}

/// Everything that can be installed, by its name.
fn every_form() -> Vec<(String, Vec<Value>)> {
    let overlays = fs::read_dir(deploy("kubernetes/overlays")).unwrap().map(|entry| entry.unwrap().path());
    let folders = overlays.chain([deploy("kubernetes/base")]);
    let mut forms: Vec<_> = folders.map(|folder| (folder.display().to_string(), kustomize(&folder))).collect();
    assert!(forms.len() > 4);
    forms.push(("chart".to_owned(), chart(&json!({}))));
    forms.push(("chart with everything".to_owned(), full_chart()));
    forms.push(("chart, ordinary container".to_owned(), chart(&json!({ "sidecar": { "native": false } }))));
    forms
}

fn full_chart() -> Vec<Value> {
    let on = json!({ "enabled": true });
    chart(&json!({
        "podMonitor": on, "prometheusRule": on, "dashboard": on, "secrets": ["bankid"],
        "sidecar": { "env": [{ "name": "TOKEN", "value": "x" }] },
        "nodeSelector": { "kubernetes.io/os": "linux" }, "podAnnotations": { "example.com/note": "x" },
        "tolerations": [{ "operator": "Exists" }], "imagePullSecrets": [{ "name": "pull" }],
        "persistence": { "existingClaim": "mine" }, "service": { "annotations": { "example.com/pool": "x" } },
    }))
}

fn chart(values: &Value) -> Vec<Value> {
    helm(&deploy("helm/portvakt"), "app", values).unwrap_or_else(|told| panic!("{told}"))
}

/// The plain rules, by the order of their names.
fn plain_rules() -> Vec<(String, String)> {
    let entries = fs::read_dir(deploy("prometheus")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn keep(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, text).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(kept == text, "{} is not what it is made of; `UPDATE_GOLDEN=1` writes it anew", path.display());
}

fn config_of(overlay: &str) -> String {
    fs::read_to_string(deploy(&format!("kubernetes/overlays/{overlay}/portvakt.toml"))).unwrap()
}

fn configuration(documents: &[Value]) -> String {
    let map = find(documents, "ConfigMap", |map| map["data"]["portvakt.toml"].is_string());
    map["data"]["portvakt.toml"].as_str().unwrap().to_owned()
}

fn sidecar(pod: &Value) -> Value {
    let containers = [&pod["initContainers"], &pod["containers"]];
    let mut all = containers.iter().filter_map(|list| list.as_array()).flatten();
    all.find(|container| container["name"] == "portvakt").expect("portvakt").clone()
}

fn find<'a>(documents: &'a [Value], kind: &str, wanted: impl Fn(&Value) -> bool) -> &'a Value {
    let found = documents.iter().find(|document| document["kind"] == kind && wanted(document));
    found.unwrap_or_else(|| panic!("no such {kind}"))
}

fn get(documents: &[Value], kind: &str, pointer: &str) -> Value {
    let document = find(documents, kind, |_| true);
    document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {document}")).clone()
}

/// The place to write at; its last step may be new.
fn at<'a>(documents: &'a mut [Value], kind: &str, pointer: &str) -> &'a mut Value {
    let document = documents.iter_mut().find(|document| document["kind"] == kind).expect("the document");
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    &mut document.pointer_mut(parent).expect("the parent")[last]
}

/// The first with native sidecars and `sleep` in `preStop` on by default, one between, the newest whose schemas there are.
const NATIVE: [&str; 3] = ["1.30", "1.33", "1.37"];

/// The first with `ReadWriteOncePod` on by default, the last without `sleep`, and the newest.
const ORDINARY: [&str; 3] = ["1.27", "1.28", "1.37"];

/// The default of `drain`, in seconds.
const DRAIN: u64 = 30;

const RULE_HEAD: &str =
    "# Made of deploy/prometheus by a test: UPDATE_GOLDEN=1 tests/run --test e2e deploys_on_kubernetes
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: portvakt
spec:
  groups:
";
