//! Well-known names that serve another registry's content, each with where that can be read and when it was.
//!
//! The list cannot be complete and need not be: under an allow-list an unknown host is refused anyway. It matters for hosts that
//! an administrator allows for their own content and that hand out others' as well.

/// A prefix of names, and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownCopy {
    /// `host` or `host/path`; `*.domain` for every host of a domain.
    pub prefix: &'static str,
    /// What it stands for; [`IN_PATH`] where the rest begins with the registry.
    pub origin: &'static str,
    /// Where that can be read.
    pub source: &'static str,
    /// When it was read.
    pub date: &'static str,
}

/// The rest of the path begins with the host of the registry; without one it is Docker Hub's.
pub const IN_PATH: &str = "(in the path)";

const fn copy(prefix: &'static str, origin: &'static str, source: &'static str) -> KnownCopy {
    KnownCopy {
        prefix,
        origin,
        source,
        date: "2026-11",
    }
}

const HUB: &str = "docker.io";
const GOOGLE: &str = "https://cloud.google.com/artifact-registry/docs/pull-cached-dockerhub-images";
const AMAZON: &str = "https://aws.amazon.com/blogs/containers/docker-official-images-now-available-on-amazon-elastic-container-registry-public/";
const MICROSOFT: &str = "https://mcr.microsoft.com, as in public Dockerfiles of Azure samples";
const DAOCLOUD: &str = "https://github.com/DaoCloud/public-image-mirror";
const KUBESRE: &str = "https://github.com/kubesre/docker-registry-mirrors";
const LISTED: &str = "https://github.com/gebangfeng/docker-mirror";
const DOCKERFILES: &str = "public Dockerfiles and daemon.json files on GitHub";

/// All that are built in.
pub const KNOWN_COPIES: &[KnownCopy] = &[
    copy("mirror.gcr.io", HUB, GOOGLE),
    copy("public.ecr.aws/docker/library", "docker.io/library", AMAZON),
    copy("mcr.microsoft.com/mirror/docker", HUB, MICROSOFT),
    copy("cr.yandex/mirror", HUB, DOCKERFILES),
    copy("dockerhub.timeweb.cloud", HUB, DOCKERFILES),
    copy("dockerhub1.beget.com", HUB, DOCKERFILES),
    copy("huecker.io", HUB, DOCKERFILES),
    copy("noohub.ru", HUB, DOCKERFILES),
    copy("m.daocloud.io", IN_PATH, DAOCLOUD),
    copy("docker.m.daocloud.io", HUB, DAOCLOUD),
    copy("gcr.m.daocloud.io", "gcr.io", DAOCLOUD),
    copy("ghcr.m.daocloud.io", "ghcr.io", DAOCLOUD),
    copy("quay.m.daocloud.io", "quay.io", DAOCLOUD),
    copy("mcr.m.daocloud.io", "mcr.microsoft.com", DAOCLOUD),
    copy("nvcr.m.daocloud.io", "nvcr.io", DAOCLOUD),
    copy("k8s.m.daocloud.io", "registry.k8s.io", DAOCLOUD),
    copy("k8s-gcr.m.daocloud.io", "k8s.gcr.io", DAOCLOUD),
    copy("elastic.m.daocloud.io", "docker.elastic.co", DAOCLOUD),
    copy("l5d.m.daocloud.io", "cr.l5d.io", DAOCLOUD),
    copy(
        "jujucharms.m.daocloud.io",
        "registry.jujucharms.com",
        DAOCLOUD,
    ),
    copy(
        "rocks-canonical.m.daocloud.io",
        "rocks.canonical.com",
        DAOCLOUD,
    ),
    copy("kubesre.xyz", IN_PATH, KUBESRE),
    copy("dhub.kubesre.xyz", HUB, KUBESRE),
    copy("docker.kubesre.xyz", HUB, KUBESRE),
    copy("gcr.kubesre.xyz", "gcr.io", KUBESRE),
    copy("ghcr.kubesre.xyz", "ghcr.io", KUBESRE),
    copy("quay.kubesre.xyz", "quay.io", KUBESRE),
    copy("mcr.kubesre.xyz", "mcr.microsoft.com", KUBESRE),
    copy("nvcr.kubesre.xyz", "nvcr.io", KUBESRE),
    copy("k8s.kubesre.xyz", "registry.k8s.io", KUBESRE),
    copy("k8s-gcr.kubesre.xyz", "k8s.gcr.io", KUBESRE),
    copy("elastic.kubesre.xyz", "docker.elastic.co", KUBESRE),
    copy("l5d.kubesre.xyz", "cr.l5d.io", KUBESRE),
    copy("jujucharms.kubesre.xyz", "registry.jujucharms.com", KUBESRE),
    copy("docker.mirrors.ustc.edu.cn", HUB, LISTED),
    copy("hub-mirror.c.163.com", HUB, LISTED),
    copy("registry.docker-cn.com", HUB, DOCKERFILES),
    copy("dockerhub.azk8s.cn", HUB, DOCKERFILES),
    copy("mirror.baidubce.com", HUB, LISTED),
    copy("docker.nju.edu.cn", HUB, LISTED),
    copy("docker.mirrors.sjtug.sjtu.edu.cn", HUB, LISTED),
    copy("mirror.iscas.ac.cn", HUB, DOCKERFILES),
    copy("mirror.ccs.tencentyun.com", HUB, LISTED),
    copy("reg-mirror.qiniu.com", HUB, LISTED),
    copy(
        "registry-k8s-io.mirrors.sjtug.sjtu.edu.cn",
        "registry.k8s.io",
        LISTED,
    ),
    copy("k8s-gcr-io.mirrors.sjtug.sjtu.edu.cn", "k8s.gcr.io", LISTED),
    copy("*.mirror.aliyuncs.com", HUB, DOCKERFILES),
    copy("*.mirror.swr.myhuaweicloud.com", HUB, DOCKERFILES),
    copy("gcr.tencentcloudcr.com", "gcr.io", DOCKERFILES),
    copy("ghcr.tencentcloudcr.com", "ghcr.io", LISTED),
    copy("k8s.tencentcloudcr.com", "k8s.gcr.io", LISTED),
    copy("quay.tencentcloudcr.com", "quay.io", LISTED),
    copy("nvcr.tencentcloudcr.com", "nvcr.io", LISTED),
    copy("gcr.nju.edu.cn", "gcr.io", DOCKERFILES),
    copy("ghcr.nju.edu.cn", "ghcr.io", LISTED),
    copy("quay.nju.edu.cn", "quay.io", LISTED),
    copy("k8s.nju.edu.cn", "registry.k8s.io", LISTED),
    copy("nvcr.nju.edu.cn", "nvcr.io", LISTED),
    copy("quay.mirrors.ustc.edu.cn", "quay.io", LISTED),
    copy("docker.1ms.run", HUB, DOCKERFILES),
    copy("docker.1panel.live", HUB, DOCKERFILES),
    copy("docker.1panelproxy.com", HUB, DOCKERFILES),
    copy("hub.rat.dev", HUB, DOCKERFILES),
    copy("docker.xuanyuan.me", HUB, DOCKERFILES),
    copy("docker.unsee.tech", HUB, DOCKERFILES),
    copy("docker-0.unsee.tech", HUB, DOCKERFILES),
    copy("docker.kejilion.pro", HUB, DOCKERFILES),
    copy("docker.udayun.com", HUB, DOCKERFILES),
    copy("docker.rainbond.cc", HUB, DOCKERFILES),
    copy("docker.awsl9527.cn", HUB, DOCKERFILES),
    copy("docker.anyhub.us.kg", HUB, DOCKERFILES),
    copy("docker.chenby.cn", HUB, DOCKERFILES),
    copy("docker.13140521.xyz", HUB, DOCKERFILES),
    copy("docker.447735.xyz", HUB, DOCKERFILES),
    copy("docker.nastool.de", HUB, DOCKERFILES),
    copy("docker.cloudlayer.icu", HUB, DOCKERFILES),
    copy("docker.imgdb.de", HUB, DOCKERFILES),
    copy("dockerhub.icu", HUB, DOCKERFILES),
    copy("dockerhub.xisoul.cn", HUB, DOCKERFILES),
    copy("dockerpull.org", HUB, DOCKERFILES),
    copy("dockerproxy.com", HUB, DOCKERFILES),
    copy("dockerproxy.cn", HUB, DOCKERFILES),
    copy("dockerproxy.net", HUB, DOCKERFILES),
    copy("hub.xdark.top", HUB, DOCKERFILES),
    copy("hub.crdz.gq", HUB, DOCKERFILES),
    copy("hub.littlediary.cn", HUB, DOCKERFILES),
    copy("hub.geekery.cn", HUB, DOCKERFILES),
    copy("hub.firefly.store", HUB, DOCKERFILES),
    copy("registry.dockermirror.com", HUB, DOCKERFILES),
    copy("atomhub.openatom.cn", HUB, DOCKERFILES),
];
