//! What requests are judged by.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::limiter::Limiters;
use super::quota::Quota;
use crate::access::AccessLog;
use crate::listener::Limits;
use crate::metrics::{Metrics, NO_ROUTE, RouteMetrics, UpstreamMetrics};
use crate::route::{Decision, HeaderEdits, Origin, Route, Routes, Site};
use crate::upstream::Upstream;

/// What the configuration means for requests, with the handles that they count on; replaced whole on reload.
pub struct Snapshot {
    routes: Routes,
    site_by_name: HashMap<String, usize>,
    upstreams: Vec<Arc<Upstream>>,
    trusted_proxies: Vec<IpNet>,
    load_balancers: Vec<IpNet>,
    limits: Limits,
    access_log: Option<Arc<AccessLog>>,
    /// By site and route.
    route_metrics: Vec<Vec<Arc<RouteMetrics>>>,
    no_route: Arc<RouteMetrics>,
    limiters: Limiters,
    upstream_metrics: Vec<Arc<UpstreamMetrics>>,
    /// By upstream.
    quotas: Vec<Arc<Quota>>,
    /// Where servers believe themselves to be, by site and route.
    origins: Vec<Vec<Vec<Origin>>>,
    /// Taken away from every request: by which headers any site hands clients' certificates on.
    proofs: HeaderEdits,
}

/// What is known of clients before they say anything.
pub struct Clients {
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whose connections begin with a PROXY header.
    pub load_balancers: Vec<IpNet>,
    /// What each may take.
    pub limits: Limits,
}

impl Snapshot {
    /// Prepares everything that a request would otherwise look up. `upstreams` are in the order that
    /// `route::Route::upstream` counts.
    pub fn new(
        routes: Routes,
        upstreams: Vec<Arc<Upstream>>,
        clients: Clients,
        access_log: Option<Arc<AccessLog>>,
        metrics: &Metrics,
    ) -> Self {
        let Clients { trusted_proxies, load_balancers, limits } = clients;
        let sites = &routes.settings().sites;
        Self {
            site_by_name: sites.iter().enumerate().map(|(index, site)| (site.name.clone(), index)).collect(),
            route_metrics: sites
                .iter()
                .map(|site| site.labels().iter().map(|label| metrics.route(label)).collect())
                .collect(),
            quotas: upstreams.iter().map(|_| Arc::default()).collect(),
            origins: sites
                .iter()
                .map(|site| site.routes.iter().map(|route| origins(route, &upstreams)).collect())
                .collect(),
            proofs: HeaderEdits {
                set: Vec::new(),
                remove: sites.iter().flat_map(|site| site.client_certificates.pass_on.clone()).collect(),
            },
            no_route: metrics.route(NO_ROUTE),
            limiters: Limiters::new(routes.settings(), &Limiters::default()),
            upstream_metrics: upstreams.iter().map(|upstream| metrics.upstream(&upstream.settings().name)).collect(),
            routes,
            upstreams,
            trusted_proxies,
            load_balancers,
            limits,
            access_log,
        }
    }

    /// The headers that only we may write, since an upstream may serve several sites.
    pub(super) fn proofs(&self) -> &HeaderEdits {
        &self.proofs
    }

    /// Where requests are written down, if they are.
    pub(super) fn access_log(&self) -> Option<&Arc<AccessLog>> {
        self.access_log.as_ref()
    }

    /// Whether connections from this address begin with a PROXY header.
    pub(super) fn is_load_balancer(&self, address: IpAddr) -> bool {
        self.load_balancers.iter().any(|net| net.contains(&address))
    }

    /// Goes on with what `old` has counted against limits that are still there.
    pub(super) fn go_on_from(&mut self, old: &Self) {
        self.limiters = Limiters::new(self.routes.settings(), &old.limiters);
    }

    pub(super) fn limiters(&self) -> &Limiters {
        &self.limiters
    }

    /// Limits of connections that ask for a site.
    pub(super) fn limits_of(&self, site: &str) -> Limits {
        let header = self.site_by_name(site).and_then(|site| self.site(site)?.header_timeout);
        Limits { header: header.unwrap_or(self.limits.header), ..self.limits }
    }

    pub(super) fn routes(&self) -> &Routes {
        &self.routes
    }

    pub(super) fn site(&self, index: usize) -> Option<&Site> {
        self.routes.settings().sites.get(index)
    }

    pub(super) fn route(&self, site: usize, route: usize) -> Option<&Route> {
        self.site(site)?.routes.get(route)
    }

    /// Where the servers of a route believe themselves to be.
    pub(super) fn origins(&self, site: usize, route: usize) -> &[Origin] {
        self.origins.get(site).and_then(|routes| routes.get(route)).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn site_by_name(&self, name: &str) -> Option<usize> {
        self.site_by_name.get(name).copied()
    }

    pub(super) fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    pub(super) fn upstream(&self, index: usize) -> Option<(&Arc<Upstream>, &Arc<UpstreamMetrics>)> {
        self.upstreams.get(index).zip(self.upstream_metrics.get(index))
    }

    /// How often failures of an upstream are told.
    pub(super) fn quota(&self, upstream: usize) -> Arc<Quota> {
        self.quotas.get(upstream).cloned().unwrap_or_default()
    }

    /// What a decision is counted on; requests that reached no route have a handle of their own.
    pub(super) fn route_metrics(&self, decision: &Decision) -> &Arc<RouteMetrics> {
        let of_site = decision.site.and_then(|site| self.route_metrics.get(site));
        of_site.zip(decision.route).and_then(|(routes, route)| routes.get(route)).unwrap_or(&self.no_route)
    }

    /// What a request is counted on that is refused before it is routed.
    pub(super) fn unrouted(&self) -> Arc<RouteMetrics> {
        self.no_route.clone()
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether the forwarding headers of this address are believed.
    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address))
    }
}

/// What an upstream would call itself, and what the operator adds.
fn origins(route: &Route, upstreams: &[Arc<Upstream>]) -> Vec<Origin> {
    let own = upstreams.get(route.upstream).map(|upstream| upstream.settings().origins()).unwrap_or_default();
    own.into_iter().chain(route.answers.origins.iter().cloned()).collect()
}
