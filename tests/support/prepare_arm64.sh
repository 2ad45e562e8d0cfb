#!/bin/sh
# Make FOLDER/python3 an arm64 Python with the packages of the REQUIREMENTs, under QEMU's user emulation.
#   tests/prepare_arm64.sh FOLDER REQUIREMENT...
# Debian's packages come from apt's sources of this machine and are unpacked, not installed: it needs no root and changes
# nothing outside FOLDER. What FOLDER already has is kept. $PYTHON is the Python whose pip loads the packages.
set -eu

mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
requirements=$*

fail() {
    echo "$*" >&2
    exit 1
}
for program in apt-get dpkg dpkg-deb; do
    command -v $program >/dev/null || fail "no $program"
done

# apt with lists of its own, in which nothing is installed yet and arm64 is what everything is for.
host=$(dpkg --print-architecture)
apt="$folder/apt"
rm -rf "$apt"
apt_get() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures="arm64,$host" -o APT::Sandbox::User=root \
        -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" "$@"
}
update() {
    if [ ! -e "$apt/status" ]; then
        mkdir -p "$apt/lists/partial" "$apt/archives/partial"
        touch "$apt/status"
        apt_get -o APT::Update::Error-Mode=any update
    fi
}

# 7.2, which is bookworm's own, crashes ONNX Runtime and LiteRT; 10.0 of bookworm-backports runs them.
recent() {
    version=$("$1" --version 2>/dev/null | sed -n 's/^qemu-aarch64 version \([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 10 ]
}
qemu="$folder/qemu-aarch64"
if ! recent "$qemu"; then
    rm -f "$qemu"
    if found=$(command -v qemu-aarch64) && recent "$found"; then
        ln -s "$found" "$qemu"
    else
        update
        codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
        (cd "$apt/archives" && { apt_get download "qemu-user:$host/$codename-backports" 2>/dev/null ||
            apt_get download "qemu-user:$host"; })
        dpkg-deb --fsys-tarfile "$apt"/archives/qemu-user_*.deb | tar -x -O ./usr/bin/qemu-aarch64 >"$qemu"
        chmod +x "$qemu"
        recent "$qemu" || fail "needs qemu-user 10 or newer; Debian 12 has it in bookworm-backports"
    fi
fi

root="$folder/root"
if [ ! -e "$root" ]; then
    update
    apt_get install --yes --download-only --no-install-recommends python3 libstdc++6 libgomp1
    rm -rf "$root.part"
    mkdir "$root.part"
    for package in "$apt"/archives/*_arm64.deb "$apt"/archives/*_all.deb; do
        dpkg-deb -x "$package" "$root.part"
    done
    mv "$root.part" "$root"
fi
rm -rf "$apt"

if [ "$requirements" != "$(cat "$folder/requirements" 2>/dev/null)" ]; then
    packages="$root/usr/lib/python3/dist-packages"
    rm -rf "$packages" "$folder/requirements"
    # python3 is a link to python3.11, or another.
    version=$(readlink "$root/usr/bin/python3")
    # Wheels for any glibc up to Debian 12's.
    platforms=$(seq -f "--platform=manylinux_2_%g_aarch64" 17 36)
    # shellcheck disable=SC2086 # several words each
    "${PYTHON:-python3}" -m pip install -qq --disable-pip-version-check --no-compile --target "$packages" \
        --only-binary=:all: $platforms --platform=manylinux2014_aarch64 --python-version "${version#python}" $requirements
    echo "$requirements" >"$folder/requirements"
fi

# The Cortex-A76 is a core of phones and of the Raspberry Pi 5. QEMU's own default has vector extensions that no phone
# of its time has, and takes twice as long. -I: neither variables nor packages of this machine's Python count.
cat >"$folder/python3" <<'END'
#!/bin/sh
folder=$(dirname "$(readlink -f "$0")")
exec "$folder/qemu-aarch64" -cpu cortex-a76 -L "$folder/root" "$folder/root/usr/bin/python3" -I "$@"
END
chmod +x "$folder/python3"
