//! Servers that are other programs: nginx, Go's net/http, and our example.
//!
//! Place: called by the module above, once before the rounds.
//!
//! nginx is set up as a site is that serves files: sendfile, the head in one packet with the file
//! (`tcp_nopush`), descriptors kept open and looked at anew once a second (`open_file_cache`), no log
//! of accesses, connections that are never closed for having been used often.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::processes::ServerProcess;
use super::{FILE_BYTES, HELLO};

/// What the servers of files serve, and where they keep their own. Removed when dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> io::Result<Self> {
        let name = format!("oneloop-benches-http-{}", std::process::id());
        let this = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(this.site())?;
        fs::write(this.site().join("hello"), HELLO)?;
        fs::write(this.site().join("file"), file())?;
        Ok(this)
    }

    fn site(&self) -> PathBuf {
        self.0.join("site")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the temporary folder of the system harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the file of [`FILE_BYTES`] has in it.
pub(super) fn file() -> Vec<u8> {
    (0..FILE_BYTES).map(|at| b'a' + (at % 26) as u8).collect()
}

/// nginx with one worker.
pub(super) fn nginx(folder: &Folder) -> io::Result<ServerProcess> {
    let address = free_address()?;
    let prefix = folder.0.join("nginx");
    fs::create_dir_all(&prefix)?;
    let config = prefix.join("nginx.conf");
    fs::write(&config, nginx_config(address, &prefix, &folder.site()))?;
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(&prefix).arg("-c").arg(&config);
    // It complains about the log of its distribution before it has read its configuration.
    ServerProcess::start_at(nginx.stderr(Stdio::null()), address)
}

fn nginx_config(address: SocketAddr, prefix: &Path, site: &Path) -> String {
    let (prefix, site) = (prefix.display(), site.display());
    let hello = HELLO.trim_end();
    // As root its worker would become somebody who may not read the folder.
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;",
        false => "",
    };
    format!(
        "{user}
daemon off;
worker_processes 1;
pid {prefix}/pid;
error_log {prefix}/error.log warn;
events {{
    worker_connections 1024;
}}
http {{
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=60s;
    open_file_cache_valid 1s;
    default_type text/plain;
    server {{
        listen {address} backlog=1024;
        root {site};
        location = /return {{
            return 200 \"{hello}\\n\";
        }}
    }}
}}
"
    )
}

/// An address that nobody listens at: nginx cannot be asked which port the system chose for it.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// `benches/peers/http.go`, compiled into the folder.
pub(super) fn go(folder: &Folder) -> io::Result<ServerProcess> {
    let program = folder.0.join("go-http");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/http.go");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(source);
    if !build.status()?.success() {
        return Err(io::Error::other("go build failed"));
    }
    ServerProcess::start(&mut Command::new(program))
}

/// The example `httpd` with one loop. It has to be built: it lies beside this program.
///
/// # Errors
///
/// `NotFound` if it is not there.
pub(super) fn httpd(folder: &Folder, keep_bytes_max: usize) -> io::Result<ServerProcess> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("examples").join("httpd");
    let mut httpd = Command::new(program);
    httpd.arg("--root").arg(folder.site());
    httpd.args(["--addr", "127.0.0.1:0", "--loops", "1"]);
    httpd.args(["--keep-bytes", &keep_bytes_max.to_string()]);
    ServerProcess::start(&mut httpd)
}
