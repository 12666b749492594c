# One-liners. What needs code is a test or a script that says so.
CACHE := $(or $(RAMGATE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ramgate)
TOOLS := $(CACHE)/tools
DENY  := $(TOOLS)/bin/cargo-deny
MDBOOK := $(TOOLS)/bin/mdbook
ANSIBLE := $(TOOLS)/ansible/bin/ansible-playbook
PROMTOOL := $(TOOLS)/prometheus/usr/bin/promtool
CARGO_DEB := $(TOOLS)/bin/cargo-deb
CYCLONEDX := $(TOOLS)/bin/cargo-cyclonedx
FUZZ  := $(TOOLS)/bin/cargo-fuzz
NGINX := $(TOOLS)/nginx/usr/sbin/nginx
SQUID := $(TOOLS)/squid/usr/sbin/squid
ROOT  := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=HOME,PATH,RAMGATE_CACHE,XDG_CACHE_HOME,CARGO_TARGET_DIR)
# As `make plugin PROFILE=dev PLUGIN=/some/folder`.
PROFILE := release
BUILT   := $(or $(CARGO_TARGET_DIR),target)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
DIST    := $(or $(CARGO_TARGET_DIR),target)/dist
SBOM    := ramgate.cdx.json
PLUGIN  := $(or $(CARGO_TARGET_DIR),target)/plugin
export RAMGATE_CACHE := $(CACHE)

.PHONY: build plugin deb tarball sbom container book monitoring ansible demo test test-unit test-engines test-bypass test-storage test-package test-archives test-book test-install test-coverage test-crash check fmt lint doc deny golden fuzz bench provision clean

build:        ; cargo build --release --locked
# A Docker managed plugin, as `docker plugin create` takes it. Beside the program, static, there is nothing in it but where it finds
# names. On a host it would not do: a static program that meets another glibc's module in the host's nsswitch.conf dies of it.
plugin:
	install -D -m 0644 -t $(PLUGIN) config.json
	install -d $(PLUGIN)/rootfs/etc $(PLUGIN)/rootfs/usr/local/bin
	echo 'hosts: files dns' >$(PLUGIN)/rootfs/etc/nsswitch.conf
	cargo rustc --locked --profile $(PROFILE) --bin ramgate -- -C target-feature=+crt-static -C strip=symbols \
		--emit=link=$(abspath $(PLUGIN))/rootfs/usr/local/bin/ramgate
# Packages, into $(DIST). As `make deb PROFILE=dev VERSION=0.1.1 DIST=/some/folder`.
deb: $(CARGO_DEB) sbom
	cargo build --locked --profile $(PROFILE) --bin ramgate
	$(if $(filter dev,$(PROFILE)),strip $(BUILT)/ramgate)
	packaging/debian/stage $(BUILT)/ramgate $(BUILT)/deb
	cp $(DIST)/$(SBOM) $(BUILT)/deb/
	$(CARGO_DEB) deb --no-build --no-strip $(if $(filter dev,$(PROFILE)),--fast) --profile $(PROFILE) $(if $(VERSION),--deb-version $(VERSION)) --output $(DIST)/
$(CARGO_DEB): ; cargo install cargo-deb --version 3.8.0 --locked --root $(TOOLS)
# Program, units and manuals for other distributions. It is linked against glibc as of the machine that builds it: a static program
# dies of another glibc's modules in nsswitch.conf.
tarball: sbom
	cargo build --locked --profile $(PROFILE) --bin ramgate
	packaging/debian/stage $(BUILT)/ramgate $(BUILT)/deb
	tar --create --gzip --file $(DIST)/ramgate-$(shell uname -m)-linux-gnu.tar.gz --owner=0 --group=0 --numeric-owner --sort=name \
		--transform 's|^deb/||;s|^|ramgate/|' -C $(abspath $(BUILT)) ramgate deb/man deb/completions deb/policy.json -C $(abspath $(DIST)) $(SBOM) \
		-C $(CURDIR) README.md LICENSE docs examples packaging
# What the program is made of, as CycloneDX. The tool writes beside each manifest, and where this checkout lies.
sbom: $(CYCLONEDX)
	mkdir -p $(DIST)
	PATH=$(TOOLS)/bin:$$PATH cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps
	sed 's|path+file://$(CURDIR)|path+file:///ramgate|g' ramgate_bin.cdx.json >$(DIST)/$(SBOM)
	rm -f ramgate_bin.cdx.json tests/support/*_bin.cdx.json
$(CYCLONEDX): ; cargo install cargo-cyclonedx --version 0.5.7 --locked --root $(TOOLS)
# The mirror as an image, FROM scratch, made without an engine: `docker load --input $(DIST)/ramgate-mirror.tar`.
container:
	mkdir -p $(DIST)
	cargo rustc --locked --profile $(PROFILE) --bin ramgate -- -C target-feature=+crt-static -C strip=symbols \
		--emit=link=$(abspath $(DIST))/ramgate-static
	packaging/container/image $(DIST)/ramgate-static $(DIST)/ramgate-mirror.tar
# The documentation as HTML, into $(DIST)/book.
book: $(MDBOOK); $(MDBOOK) build --dest-dir $(abspath $(DIST))/book
$(MDBOOK):    ; cargo install mdbook --version 0.5.4 --locked --no-default-features --root $(TOOLS)
# Checks the alert rules with Prometheus' own tool, unpacked from Debian and not installed.
monitoring: $(PROMTOOL)
	cd packaging/monitoring && $(PROMTOOL) check rules alerts.yaml && $(PROMTOOL) test rules alerts.test.yaml && \
		$(PROMTOOL) check config prometheus.yaml
$(PROMTOOL):
	@mkdir -p $(TOOLS)/prometheus
	cd $(TOOLS)/prometheus && apt-get download prometheus && dpkg-deb --extract prometheus_*.deb . && rm prometheus_*.deb
# Whether Ansible can read the example of a play, in an environment of its own.
ansible: $(ANSIBLE); $(ANSIBLE) --syntax-check --inventory 'host,' examples/ansible/ramgate.yaml
$(ANSIBLE):   ; python3 -m venv --clear $(TOOLS)/ansible && $(TOOLS)/ansible/bin/pip install --quiet ansible-core==2.18.6
demo: build provision
	$(ROOT) cargo run --release --locked --quiet -p ramgate-lab --bin demo -- --ramgate $${CARGO_TARGET_DIR:-target}/release/ramgate
test: test-unit test-engines test-bypass test-storage
# Properties are tried with the same values each time, so that no change fails by chance; `cargo test` alone, or SEED=…, tries others.
test-unit:    ; PROPTEST_RNG_SEED=$(or $(SEED),1) cargo test --locked
test-engines: provision
	$(ROOT) tests/support/provision-nft
	$(ROOT) cargo test --locked -p ramgate-lab -p ramgate --features engines \
		--test lab --test engines --test inspection --test differential --test clients --test pullers --test transparent --test managed --test service
	$(ROOT) cargo test --locked -p ramgate --features engines --test install -- 'leaves no trace'
	$(MAKE) test-crash
# Installation and undo on booted Debians: as the README has them, which `make test` does too; over reboots, killed on the way, with
# whatever fails, and of an engine in rootless mode. Ten minutes.
test-install: provision
	$(ROOT) tests/support/provision-nft
	$(ROOT) tests/support/provision-rootless
	$(ROOT) cargo test --locked -p ramgate --features engines --test install
# Every way to an image, on every engine, at the levels standard and strict, against the map in docs/egress.md. Ten minutes.
test-coverage: provision
	$(ROOT) cargo test --locked -p ramgate --features engines --test coverage
# The Debian package on a booted Debian. Not part of `make test`: cargo-deb takes longer to build than all the rest.
test-package: provision $(CARGO_DEB) $(CYCLONEDX)
	$(ROOT) cargo test --locked -p ramgate --features engines --test package
# The book as HTML: whether each of its links leads somewhere. The sources' are held by `make test-unit`.
test-book: $(MDBOOK)
	cargo test --locked -p ramgate --features engines --test book
# The tarball on a booted Debian, the mirror's image in an engine by its compose files, and the bill of materials.
test-archives: provision $(CYCLONEDX)
	$(ROOT) tests/support/provision-s3-image
	$(ROOT) cargo test --locked -p ramgate --features engines --test archives -- --test-threads 1
# Fifty crashes under load, one engine after the other: they are about time, and a second lab would take it from the first.
test-crash: provision
	$(ROOT) cargo test --locked -p ramgate --features engines --test crash -- --nocapture --test-threads 1
# Every attempt of the corpus on every engine, and its control.
test-bypass: provision
	$(ROOT) cargo test --locked --features engines --test bypass
# The mirror's store: 200 kills, a full disk, three mirrors on one bucket of a real S3 API server.
test-storage:
	$(ROOT) tests/support/provision-s3
	$(ROOT) cargo test --locked -p ramgate --features engines --test storage
provision:    ; $(ROOT) tests/support/provision
check: fmt lint doc deny
fmt:          ; cargo fmt --all --check
lint:         ; cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
doc:          ; RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
# Advisories need the advisory database from the network: `make audit`.
deny: $(DENY) ; $(DENY) --locked check bans licenses sources
audit: $(DENY); $(DENY) check advisories
$(DENY):      ; cargo install cargo-deny --version 0.20.2 --locked --root $(TOOLS)
golden:
	RAMGATE_GOLDEN=1 cargo test --locked -p ramgate --test pages --test gates
	cargo run --locked --quiet -- policy schema > docs/policy.schema.json
	INSTA_UPDATE=always cargo test --locked -p ramgate-policy -p ramgate-plugin
# One target at a time, as in `make fuzz TARGET=go_json SECONDS=600`. The stable compiler will do.
fuzz: $(FUZZ)
	mkdir -p fuzz/corpus/$(or $(TARGET),request)
	RUSTC_BOOTSTRAP=1 PATH=$(TOOLS)/bin:$$PATH cargo fuzz run --sanitizer none $(or $(TARGET),request) \
		fuzz/corpus/$(or $(TARGET),request) fuzz/seeds/$(or $(TARGET),request) -- -max_total_time=$(or $(SECONDS),60) -max_len=4096
$(FUZZ):      ; cargo install cargo-fuzz --version 0.13.1 --locked --root $(TOOLS)
# Parts: decision, plugin, mirror, transfer, scale, egress, engine, footprint; as in `make bench ARGS=plugin`. What is missing is skipped, and said.
bench: $(NGINX) $(SQUID); $(ROOT) cargo bench --locked --bench peers -- $(ARGS)
# A peer of the mirror, unpacked and not installed. Elsewhere than on Debian it is skipped.
$(NGINX):
	@mkdir -p $(TOOLS)/nginx
	-cd $(TOOLS)/nginx && apt-get download nginx && dpkg-deb --extract nginx_*.deb . && rm nginx_*.deb
# A peer of the network gate, with the libraries that a bare Debian 12 lacks.
$(SQUID):
	@mkdir -p $(TOOLS)/squid
	-cd $(TOOLS)/squid && apt-get download squid squid-common libecap3 libltdl7 libnetfilter-conntrack3 libnfnetlink0 libtdb1 && \
		for package in *.deb; do dpkg-deb --extract $$package . && rm $$package || exit; done
clean:        ; cargo clean
