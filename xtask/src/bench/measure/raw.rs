//! The Engine API without anything around it: the least that bringing machines up can take.

use super::contender::{COMMAND, Contender, PREFIX, Setting, Step};
use crate::cargo::Result;
use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error,
    models::{
        ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Ipam, IpamConfig, NetworkCreateRequest,
        NetworkingConfig,
    },
    query_parameters::{CreateContainerOptions, ListContainersOptions, RemoveContainerOptions, StartContainerOptions},
};
use std::{collections::HashMap, future::Future, sync::Arc};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::JoinSet,
};

/// How many calls are made at the same time; as many as rig makes unless told otherwise.
const THREADS: usize = 8;
/// Seconds for one call.
const LIMIT: u64 = 600;
const NETWORK: &str = "rigbench-api";

/// The API's client with eight threads. It creates what rig creates, with rig's flags, and looks at nothing in between.
pub(super) struct Raw {
    setting: Setting,
    runtime: Runtime,
    version: String,
    count: usize,
}

/// Connects anew, as a program does that has just been started.
///
/// # Errors
/// When the engine does not answer.
pub(super) async fn connect(setting: &Setting) -> Result<Docker> {
    let socket = setting.socket.to_string_lossy();
    let docker = Docker::connect_with_unix(&socket, LIMIT, API_DEFAULT_VERSION)
        .map_err(|error| format!("connecting to the engine: {error}"))?;
    docker.negotiate_version().await.map_err(|error| format!("asking the engine for its version: {error}"))
}

impl Raw {
    /// Starts the threads.
    ///
    /// # Errors
    /// When they cannot be started, or the engine does not answer.
    pub(super) fn new(setting: &Setting) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
        let runtime = runtime.map_err(|error| format!("starting the API client's threads: {error}"))?;
        let version = runtime.block_on(connect(setting))?.client_version();
        Ok(Self { setting: setting.clone(), runtime, version: format!("API {version}"), count: 0 })
    }

    /// Creates and starts everything.
    async fn up(&self, docker: &Docker) -> Result {
        let request = NetworkCreateRequest {
            name: NETWORK.to_owned(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig { subnet: Some("10.88.0.0/24".to_owned()), ..IpamConfig::default() }]),
                ..Ipam::default()
            }),
            ..NetworkCreateRequest::default()
        };
        docker.create_network(request).await.map_err(|error| format!("creating a network: {error}"))?;
        let image = &self.setting.image;
        self.each("creating and starting containers", |number| {
            let (docker, body) = (docker.clone(), body(image, number));
            async move {
                let options = CreateContainerOptions { name: Some(name(number)), ..CreateContainerOptions::default() };
                docker.create_container(Some(options), body).await?;
                docker.start_container(&name(number), None::<StartContainerOptions>).await
            }
        })
        .await
    }

    /// One call: the list is all that there is to know.
    async fn list(&self, docker: &Docker) -> Result {
        let filters = HashMap::from([("name".to_owned(), vec![format!("{PREFIX}-api")])]);
        let options = ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
        let list =
            docker.list_containers(Some(options)).await.map_err(|error| format!("listing containers: {error}"))?;
        if list.len() == self.count {
            Ok(())
        } else {
            Err(format!("{} containers instead of {}", list.len(), self.count))
        }
    }

    /// Removes everything, running or not, as rig does.
    async fn destroy(&self, docker: &Docker) -> Result {
        self.each("removing containers", |number| {
            let docker = docker.clone();
            async move {
                let options = RemoveContainerOptions { v: true, force: true, ..RemoveContainerOptions::default() };
                docker.remove_container(&name(number), Some(options)).await
            }
        })
        .await?;
        docker.remove_network(NETWORK).await.map_err(|error| format!("removing a network: {error}"))
    }

    /// Does something for every container, eight at a time.
    async fn each<F, T>(&self, doing: &str, call: F) -> Result
    where
        F: Fn(usize) -> T,
        T: Future<Output = std::result::Result<(), Error>> + Send + 'static,
    {
        let slots = Arc::new(Semaphore::new(THREADS));
        let mut calls = JoinSet::new();
        for number in 1..=self.count {
            let (slots, call) = (slots.clone(), call(number));
            calls.spawn(async move {
                let _slot = slots.acquire_owned().await;
                call.await
            });
        }
        while let Some(ended) = calls.join_next().await {
            ended.map_err(|error| format!("{doing}: {error}"))?.map_err(|error| format!("{doing}: {error}"))?;
        }
        Ok(())
    }
}

impl Contender for Raw {
    fn name(&self) -> &'static str {
        "api"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn prepare(&mut self, count: usize) -> Result {
        self.count = count;
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result {
        self.runtime.block_on(async {
            let docker = connect(&self.setting).await?;
            match step {
                Step::Up => self.up(&docker).await,
                Step::NoOp | Step::Status => self.list(&docker).await,
                Step::Destroy => self.destroy(&docker).await,
            }
        })
    }
}

fn name(number: usize) -> String {
    format!("{PREFIX}-api-m{number}")
}

/// A trivial machine with rig's flags: a fixed address, no capabilities but the minimal ones, no new privileges.
fn body(image: &str, number: usize) -> ContainerCreateBody {
    const CAPABILITIES: [&str; 9] =
        ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID", "SYS_CHROOT"];
    // The first two addresses are the network's and the gateway's.
    let ipv4_address = Some(format!("10.88.0.{}", number + 1));
    let endpoint = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig { ipv4_address, ..EndpointIpamConfig::default() }),
        aliases: Some(vec![format!("m{number}")]),
        ..EndpointSettings::default()
    };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some(format!("m{number}")),
        cmd: Some(COMMAND.map(str::to_owned).to_vec()),
        host_config: Some(HostConfig {
            network_mode: Some(NETWORK.to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(CAPABILITIES.map(str::to_owned).to_vec()),
            security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
            ..HostConfig::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(NETWORK.to_owned(), endpoint)])),
        }),
        ..ContainerCreateBody::default()
    }
}
