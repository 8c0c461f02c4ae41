#!/usr/bin/env python3
"""Lay Spark's source distribution out as SPARK_HOME, without what a standalone
cluster on this kind of machine can never use.

usage: trim.py UNPACKED_SDIST SPARK_HOME yes|no
"""
import compileall
import fnmatch
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

# Cluster managers other than standalone; their clients and what only they use.
DROPPED_JARS = [
    "spark-kubernetes_*", "kubernetes-*", "okhttp-*", "okio-*", "logging-interceptor-*", "zjsonpatch-*",
    "spark-mesos_*", "mesos-*",
    "spark-yarn_*", "hadoop-yarn-server-web-proxy-*",
    # Only macOS has kqueue.
    "netty-transport-native-kqueue-*-osx-*",
]
DROPPED_SCRIPTS = ["*.cmd", "sparkR*", "docker-image-tool.sh", "run-example", "spark-connect-shell"]

NATIVE = re.compile(r"\.(so|dll|dylib|jnilib|a|sl|exe|lnilib)$")
# How the native libraries' authors spell this machine: Linux, glibc, this processor.
SPELLINGS = {
    "x86_64": r"(/linux64/|Linux-amd64/|Linux/x86_64/|linux/amd64/|linux/x86_64/|librocksdbjni-linux64\.so$|_x86_64\.so$)",
    "aarch64": r"(Linux-aarch64/|Linux/aarch64/|linux/aarch64/|librocksdbjni-linux-aarch64\.so$|_aarch_64\.so$)",
}


def strip(data):
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        if subprocess.run(["strip", "--strip-unneeded", f.name], stderr=subprocess.DEVNULL).returncode:
            return data
        with open(f.name, "rb") as g:
            return g.read()


def slim_jar(path, keep):
    """Rewrite a jar that carries native libraries of other platforms."""
    with zipfile.ZipFile(path) as old:
        infos = old.infolist()
        if not any(NATIVE.search(i.filename) for i in infos):
            return
        part = path + ".part"
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
            for i in infos:
                # A signature over entries that are gone would make the jar unusable.
                if re.match(r"META-INF/[^/]+\.(SF|RSA|DSA)$", i.filename):
                    continue
                data = old.read(i)
                if NATIVE.search(i.filename):
                    if not keep.search(i.filename):
                        continue
                    data = strip(data)
                new.writestr(i, data, compress_type=i.compress_type, compresslevel=9)
    shutil.copystat(path, part)
    os.replace(part, path)


def python_packages(sdist, target):
    """pyspark and py4j as folders with byte code. Folders, not the usual archives: a Python
    worker invalidates its import caches before every task, and reading the index of
    an archive again costs 0.1 s each time. Compiled here: the root file system is read-only later."""
    shutil.copytree(os.path.join(sdist, "pyspark"), os.path.join(target, "pyspark"),
                    ignore=shutil.ignore_patterns("tests", "__pycache__", "*.pyi"))
    lib = os.path.join(sdist, "lib")
    for name in os.listdir(lib):
        if name.startswith("py4j-"):
            with zipfile.ZipFile(os.path.join(lib, name)) as z:
                z.extractall(target)
    # Never compared with the source, so never stale by time.
    compileall.compile_dir(target, quiet=1, stripdir=target, prependdir="/opt/spark/python",
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def main():
    sdist, home, wanted = sys.argv[1:]
    trim = wanted != "no"
    deps = os.path.join(sdist, "deps")
    for name in ("jars", "bin", "sbin", "licenses"):
        shutil.copytree(os.path.join(deps, name), os.path.join(home, name))
    if not trim:
        for name in ("data", "examples"):
            shutil.copytree(os.path.join(deps, name), os.path.join(home, name))
    for name in ("conf", "work"):
        os.makedirs(os.path.join(home, name), exist_ok=True)
    python_packages(sdist, os.path.join(home, "python"))
    # The sdist's scripts lost their mode on the way through some archives.
    for folder in ("bin", "sbin"):
        for name in os.listdir(os.path.join(home, folder)):
            os.chmod(os.path.join(home, folder, name), 0o755)
    if not trim:
        return

    for name in os.listdir(os.path.join(home, "bin")):
        if any(fnmatch.fnmatch(name, p) for p in DROPPED_SCRIPTS):
            os.remove(os.path.join(home, "bin", name))
    keep = re.compile(SPELLINGS.get(platform.machine(), "."))
    jars = os.path.join(home, "jars")
    for name in sorted(os.listdir(jars)):
        path = os.path.join(jars, name)
        if any(fnmatch.fnmatch(name, p) for p in DROPPED_JARS):
            os.remove(path)
        else:
            slim_jar(path, keep)


if __name__ == "__main__":
    main()
