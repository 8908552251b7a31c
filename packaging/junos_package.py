"""The signed Junos extension package: its parts, and how each is written and read.

`build` writes packages with this, `verify` reads them, tests/package alters them. The format's
words are those of Juniper's public packager and of FreeBSD's veriexec: two manifests, one of the
files in the package and one of the files in its ISO image, each with a signature and the signer's
certificates. Python's standard library, openssl and xorriso are all it needs.
"""

import base64
import gzip
import hashlib
import io
import os
import re
import stat
import subprocess
import tarfile
import tempfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from time import gmtime, strftime
from xml.sax.saxutils import escape

# No package of ours comes near it; it keeps a hostile file from filling the memory.
PACKAGE_BYTES_MAX = 256 << 20
SYSTEM_ID = "JUNOS"
ISO_BLOCK = 2048
MOUNT_POINT = "/packages/mnt"
TOGGLES = ("schema", "config-validate", "veriexec-ext", "mountlate", "umount-busy")
# Fast inflate everywhere, no time, no name: the same bytes on every machine.
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"


class Failure(Exception):
    """What went wrong, where, and what to do about it, for the person at the terminal."""


@dataclass(frozen=True)
class Format:
    """A signature format: how fingerprints and signatures are made, what the files are called."""

    name: str
    digest: str
    signature_file: str
    certs_file: str
    has_role_line: bool

    @property
    def digest_file(self):
        return f"manifest.{self.digest}"

    @property
    def digest_hex_length(self):
        return 2 * hashlib.new(self.digest).digest_size


FORMATS = {
    "sig": Format("sig", "sha1", "manifest.sig", "manifest.certs", True),
    "xsig": Format("xsig", "sha256", "manifest.xsig", "manifest.xcerts", False),
}


def hexdigest(name, data):
    return hashlib.new(name, data).hexdigest()


def run(*argv, stdin=None, env=None, problem):
    """Runs a tool and returns its standard output; `problem` says what its failure means."""
    try:
        done = subprocess.run(
            [str(arg) for arg in argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=dict(os.environ, LC_ALL="C", TZ="UTC", **(env or {})),
        )
    except FileNotFoundError:
        package = {"pkcs11-tool": "opensc"}.get(argv[0], argv[0])
        raise Failure(f"needs the program {argv[0]}: apt-get install {package}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().replace("\n", " / ")
        raise Failure(f"{problem}: {said or f'{argv[0]} exited with {done.returncode}'}")
    return done.stdout


# Certificates and signatures ---------------------------------------------------------------------

PEM = re.compile(
    r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----"
)


def base64_lines(data):
    """Base64 in lines of 64 columns, as PEM has it."""
    text = base64.b64encode(data).decode()
    return "".join(text[at : at + 64] + "\n" for at in range(0, len(text), 64))


@dataclass(frozen=True)
class Certificate:
    der: bytes
    subject: str  # in the old one-line form, /C=US/O=…/CN=…
    issuer: str
    not_after: str

    @property
    def pem(self):
        lines = base64_lines(self.der)
        return f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n"

    @property
    def common_name(self):
        found = re.search(r"/CN=([^/]*)", self.subject)
        return found[1] if found else ""


def read_certificates(text, where):
    """Every certificate of a PEM text, in its order."""
    certificates = []
    for body in PEM.findall(text):
        try:
            der = base64.b64decode("".join(body.split()), validate=True)
        except ValueError as error:
            problem = f"{where}: certificate {len(certificates) + 1} is not base64: {error}"
            raise Failure(problem) from None
        said = run(
            *("openssl", "x509", "-inform", "DER", "-noout", "-subject", "-issuer", "-enddate"),
            *("-nameopt", "compat"),
            stdin=der,
            problem=f"{where}: certificate {len(certificates) + 1} cannot be read",
        )
        fields = dict(line.split("=", 1) for line in said.decode().splitlines())
        names = (fields["subject"].strip(), fields["issuer"].strip())
        certificates.append(Certificate(der, *names, fields["notAfter"]))
    if not certificates:
        raise Failure(f"{where}: holds no PEM certificate")
    return certificates


def other_subjects(certificate):
    """The subject as `openssl x509 -subject` has printed it since 1.1, and since 3.2."""
    forms = []
    for options in ("oneline", "oneline,-space_eq"):
        said = run(
            *("openssl", "x509", "-inform", "DER", "-noout", "-subject", "-nameopt", options),
            stdin=certificate.der,
            problem="the signer's certificate cannot be read",
        )
        line = said.decode().rstrip("\n")
        forms += [line, line.removeprefix("subject=")]
    return forms


def in_order(leaf, others, where):
    """`others` from the leaf's issuer upwards, the order that a device reads them in."""
    chain, left = [leaf], list(others)
    while left:
        issuer = next((c for c in left if c.subject == chain[-1].issuer), None)
        if issuer is None:
            raise Failure(
                f"{where}: {left[0].subject} did not issue {chain[-1].subject}: give the leaf's"
                " own chain and nothing else"
            )
        chain.append(issuer)
        left.remove(issuer)
    return chain


def check_chain(chain, root=None):
    """Fails unless each certificate is valid now and signed by the next, and the last by `root`.

    Without `root` the last one is taken on trust. The machine's own roots are never asked.
    """
    with tempfile.TemporaryDirectory() as scratch:
        files = []
        for number, certificate in enumerate([*chain, *([root] if root else [])]):
            files.append(Path(scratch, f"{number}.pem"))
            files[-1].write_text(certificate.pem)
        for certificate, file, issuer in zip(chain, files, files[1:]):
            arguments = ("-partial_chain", "-trusted", issuer, file)
            _verify(*arguments, what=f"the certificate {certificate.common_name}")
        # Once more as a whole, for what only the whole path shows, such as its allowed length.
        anchor = ("-trusted", files[-1], *(() if root else ("-partial_chain",)))
        between = [arg for file in files[1:-1] for arg in ("-untrusted", file)]
        _verify(*anchor, *between, files[0], what="the certificate chain")


def _verify(*arguments, what):
    only = ("-no-CAfile", "-no-CApath", "-no-CAstore")
    try:
        run("openssl", "verify", *only, *arguments, problem="")
    except Failure as failure:
        # Of openssl's lines the one that has the reason.
        reason = re.search(r"lookup: *(.*?)(?: / |$)", str(failure))
        raise Failure(f"{what} does not verify: {reason[1] if reason else failure}") from None


@dataclass(frozen=True)
class Token:
    """An RSA key that stays in a PKCS#11 token, such as an HSM; OpenSC's pkcs11-tool signs with it."""

    module: str
    token: str
    pin: str
    id: str = ""  # in hexadecimal digits

    def _tool(self, *arguments, problem):
        return run(
            *("pkcs11-tool", "--module", self.module, "--token-label", self.token),
            *("--login", "--pin", "env:PERIJOVE_PIN", *arguments),
            # Not on the command line, which other users can read.
            env={"PERIJOVE_PIN": self.pin},
            problem=problem,
        )

    def labelled(self, label):
        """The token with the key of that label. To sign, pkcs11-tool finds keys by their id alone."""
        listed = self._tool("--list-objects", "--type", "privkey",
                            problem=f"the keys of the token {self.token} cannot be listed")
        ids = set()
        for key in listed.decode(errors="replace").split("Private Key Object")[1:]:
            fields = dict(re.findall(r"(?m)^ +(label|ID): +(.*?) *$", key))
            if fields.get("label") == label and "ID" in fields:
                ids.add(fields["ID"])
        if len(ids) != 1:
            raise Failure(f"the token {self.token} has {len(ids)} keys with an id that are labelled"
                          f" {label!r}: name it by its id, pkcs11:token={self.token};id=%01")
        return replace(self, id=ids.pop())

    def sign(self, manifest, format):
        with tempfile.TemporaryDirectory() as scratch:
            data, signature = Path(scratch, "data"), Path(scratch, "signature")
            data.write_bytes(manifest)
            self._tool(
                *("--id", self.id, "--sign", "--mechanism", f"{format.digest.upper()}-RSA-PKCS"),
                *("--input-file", data, "--output-file", signature),
                problem=f"the token {self.token} cannot sign with {format.digest.upper()}",
            )
            return signature.read_bytes()


def sign(manifest, key, format):
    """The signature of a manifest's bytes with an RSA key: a token's, or a file as openssl's
    arguments."""
    if isinstance(key, Token):
        return key.sign(manifest, format)
    with tempfile.NamedTemporaryFile() as file:
        file.write(manifest)
        file.flush()
        problem = f"openssl cannot sign with {format.digest.upper()}"
        if format.digest == "sha1":
            problem += (
                " (a strict crypto policy refuses SHA-1, which the sig format needs: allow it"
                " through OPENSSL_CONF, or use --format xsig)"
            )
        digest = f"-{format.digest}"
        return run("openssl", "dgst", digest, "-sign", *key, file.name, problem=problem)


def signature_is_good(manifest, signature, certificate, format):
    with tempfile.TemporaryDirectory() as scratch:
        public, signed, sig = (Path(scratch, name) for name in ("public", "signed", "signature"))
        public.write_bytes(
            run(
                *("openssl", "x509", "-noout", "-pubkey"),
                stdin=certificate.pem.encode(),
                problem="the signer's certificate holds no key",
            )
        )
        signed.write_bytes(manifest)
        sig.write_bytes(signature)
        try:
            run(
                *("openssl", "dgst", f"-{format.digest}", "-verify", public),
                *("-signature", sig, signed),
                problem="",
            )
        except Failure:
            return False
        return True


def write_signature(subject, signature):
    return (
        f"{subject}\n-----BEGIN JUNOS SIGNATURE-----\n{base64_lines(signature)}"
        "-----END JUNOS SIGNATURE-----\n"
    ).encode()


def read_signature(data, where):
    """The subject and the signature of a signature file that is written in the one right way."""
    shape = (
        rb"([^\n]+)\n-----BEGIN JUNOS SIGNATURE-----\n([A-Za-z0-9+/=\n]+)"
        rb"-----END JUNOS SIGNATURE-----\n"
    )
    found = re.fullmatch(shape, data)
    try:
        subject, signature = found[1].decode(), base64.b64decode(found[2].replace(b"\n", b""))
    except (TypeError, ValueError):
        raise Failure(f"{where}: is not a subject and a JUNOS SIGNATURE in base64") from None
    if write_signature(subject, signature) != data:
        raise Failure(f"{where}: its base64 is not in lines of 64 columns, or has stray bits")
    return subject, signature


# Manifests ---------------------------------------------------------------------------------------


def check_name(path, where):
    """Refuses a path that veriexec's manifest reader would take for something else."""
    # Its path token: a letter, digit, dot or slash, then anything but space, tab, newline and =.
    # The quotes are what xorriso writes in another way in its list of files.
    if not re.fullmatch(r"[A-Za-z0-9.][!-~]*", path) or re.search(r"[='\"\\]|/_", path):
        raise Failure(
            f"{where}: the path {path!r} would be mangled by the device's manifest reader: ASCII"
            " without space, =, quote or \\, no name that begins with _, and relative to the root"
        )
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise Failure(f"{where}: the path {path!r} has an empty part, . or ..")


FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9.+~-]*"


def check_file_name(name, where):
    """Refuses what cannot be part of the package's file name."""
    if not re.fullmatch(FILE_NAME, name):
        raise Failure(
            f"{where}: {name!r} must be letters, digits, '.', '+', '~' and '-', and begin with"
            " a letter or digit"
        )


def entry(path, **attributes):
    return " ".join([path, *(f"{name}={value}" for name, value in attributes.items())]) + "\n"


def read_manifest(data, where):
    """The lines of a manifest as (path, attributes); a `/set` line has the path "/set"."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise Failure(f"{where}: holds bytes that are not ASCII") from None
    if not text.endswith("\n"):
        raise Failure(f"{where}: does not end with a newline")
    lines = []
    for number, line in enumerate(text[:-1].split("\n"), 1):
        path, *attributes = line.split(" ")
        pairs = [attribute.partition("=") for attribute in attributes]
        if path != "/set":
            check_name(path, f"{where}:{number}")
        if any(not name or not equals or not value for name, equals, value in pairs):
            raise Failure(f"{where}:{number}: is not a path and attributes: {line!r}")
        if len({name for name, _, _ in pairs}) < len(pairs):
            raise Failure(f"{where}:{number} ({path}): gives an attribute twice")
        lines.append((path, {name: value for name, _, value in pairs}))
    return lines


# The ISO image -----------------------------------------------------------------------------------


def write_iso(tree, output, volume, epoch):
    """An ISO 9660 image with Rock Ridge of a directory, all of it owned by root."""
    run(
        *("xorriso", "-as", "mkisofs", "-quiet", "-R", "-uid", "0", "-gid", "0"),
        *("-sysid", SYSTEM_ID, "-V", volume, "--set_all_file_dates", f"={epoch}"),
        *("-o", output, tree),
        # For the volume's own times and identifier.
        env={"SOURCE_DATE_EPOCH": str(epoch)},
        problem="xorriso cannot make the ISO image",
    )


@dataclass(frozen=True)
class IsoFile:
    kind: str  # the first letter of `ls -l`
    mode: int
    uid: int
    gid: int
    data: bytes


def read_iso(image, where):
    """(system id, path → IsoFile) of an ISO image, directories included."""
    volume, next_volume = image[16 * ISO_BLOCK : 17 * ISO_BLOCK], image[17 * ISO_BLOCK :][:1]
    if volume[:6] != b"\x01CD001" or next_volume != b"\xff":
        raise Failure(f"{where}: does not hold an ISO 9660 volume and no other")
    system_id = volume[8:40].decode("ascii", errors="replace").rstrip()
    if len(image) != int.from_bytes(volume[80:84], "little") * ISO_BLOCK:
        raise Failure(f"{where}: is cut short, or something follows the image")
    xorriso = ("xorriso", "-no_rc", "-indev")
    listing = (r"([-a-z])([-rwxstST]{9}) +\d+ +(\d+) +(\d+) +\d+ [A-Z][a-z]+ .{8} '/(.*?)'"
               r"(?: -> '.*')?")
    with tempfile.TemporaryDirectory() as scratch:
        file, tree = Path(scratch, "image"), Path(scratch, "tree")
        file.write_bytes(image)
        problem = f"{where}: cannot be read"
        listed = run(*xorriso, f"stdio:{file}", "-find", "/", "-exec", "lsdl", problem=problem)
        run(*xorriso, f"stdio:{file}", "-osirrox", "on", "-extract", "/", tree, problem=problem)
        files = {}
        for line in listed.decode(errors="surrogateescape").splitlines():
            found = re.fullmatch(listing, line)
            if not found or found[5] in files or not os.path.lexists(tree / found[5]):
                raise Failure(f"{where}: holds what is no plain name, or one twice: {line!r}")
            kind, mode, uid, gid, path = found.groups()
            extracted = tree / path
            data = b""
            if kind == "-":
                os.chmod(extracted, 0o400)
                data = extracted.read_bytes()
            elif kind == "d":
                os.chmod(extracted, 0o700)
            files[path] = IsoFile(kind, mode_bits(mode), int(uid), int(gid), data)
        there = {"", *(str(path.relative_to(tree)) for path in tree.rglob("*"))}
        for path in sorted(there ^ files.keys()):
            raise Failure(f"{where}: {path!r} is not in its list of files as it is in the image")
        return system_id, files


def mode_bits(text):
    """The bits of the nine letters of `ls -l`."""
    bits = sum(1 << (8 - at) for at, letter in enumerate(text) if letter not in "-ST")
    special = (stat.S_ISUID, stat.S_ISGID, stat.S_ISVTX)
    return bits | sum(bit for bit, at in zip(special, (2, 5, 8)) if text[at] in "sStT")


# The package -------------------------------------------------------------------------------------


def write_tgz(files, epoch):
    """A gzip tar of path → data."""
    return write_gzip(write_tar(files, epoch))


def write_gzip(data):
    output = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=output, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(data)
    return output.getvalue()


def write_tar(files, epoch):
    """A tar of path → data in its order, each directory before what is in it; scripts can run."""
    members = io.BytesIO()
    with tarfile.open(fileobj=members, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        made = set()
        for path, data in files.items():
            folder = os.path.dirname(path)
            if folder and folder not in made:
                made.add(folder)
                tar.addfile(tar_header(folder, 0o755, epoch, tarfile.DIRTYPE))
            mode = 0o755 if folder == "scripts" else 0o644
            header = tar_header(path, mode, epoch, tarfile.REGTYPE)
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    return members.getvalue()


def tar_header(path, mode, epoch, kind):
    header = tarfile.TarInfo(path)
    header.mode, header.mtime, header.type = mode, epoch, kind
    header.uname, header.gname = "root", "wheel"
    return header


def altered_member(members, expected):
    """The first member in which a tar differs from the expected one; None if in none."""
    if members == expected:
        return None
    at = next((at for at, pair in enumerate(zip(members, expected)) if pair[0] != pair[1]), None)
    if at is None:
        return "the end"
    with tarfile.open(fileobj=io.BytesIO(expected), mode="r:") as tar:
        return [member.name for member in tar if member.offset <= at][-1]


def read_gzip(data):
    """What one gzip member holds, its CRC checked; fails where anything follows it."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        members = inflate.decompress(data, PACKAGE_BYTES_MAX)
    except zlib.error as error:
        raise Failure(f"the package: is not a whole gzip file: {error}") from None
    if inflate.unconsumed_tail:
        raise Failure(f"the package: unpacks to more than {PACKAGE_BYTES_MAX >> 20} MB")
    if not inflate.eof or inflate.unused_data:
        raise Failure("the package: its gzip file is cut short, or something follows it")
    return members


def read_tgz(data):
    """path → data of the files in a package; fails where a byte is not accounted for."""
    members = read_gzip(data)
    files, folders, end = {}, set(), 0
    try:
        with tarfile.open(fileobj=io.BytesIO(members), mode="r:") as tar:
            for member in tar:
                check_member(member, members[member.offset : member.offset_data])
                if member.name in files or member.name in folders:
                    raise Failure(f"{member.name}: is in the package twice")
                end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if member.isreg():
                    files[member.name] = tar.extractfile(member).read()
                else:
                    folders.add(member.name)
                if members[member.offset_data + member.size : end].strip(b"\0"):
                    raise Failure(f"{member.name}: bytes after its end in the package")
    except tarfile.TarError as error:
        raise Failure(f"the package: is not a whole tar file: {error}") from None
    if members[end:].strip(b"\0") or len(members) - end < 2 * tarfile.BLOCKSIZE:
        raise Failure("the package: the end of its tar file is missing, or something follows it")
    for folder in folders - {os.path.dirname(path) for path in files}:
        raise Failure(f"{folder}: an empty directory in the package")
    return files


def check_member(member, header):
    """A plain file or a package's directory, its header as tar writes it for what it says."""
    if member.type not in (tarfile.REGTYPE, tarfile.DIRTYPE) or member.linkname:
        raise Failure(f"{member.name}: is neither a file nor a directory")
    check_name(member.name, f"the package: {member.name}")
    if member.isdir() and member.name not in ("contents", "scripts"):
        raise Failure(f"{member.name}: a directory that does not belong into a package")
    if member.mode & 0o7002:
        raise Failure(f"{member.name}: its mode in the package is {member.mode:o}")
    written = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT)
    if header not in [member.tobuf(format=format) for format in written]:
        raise Failure(f"{member.name}: its header in the package is not as tar writes it")


def mount_id(iso):
    """The last part of a package's mount name: Juniper's packager takes eight random digits."""
    return hexdigest("sha256", iso)[:8]


def write_package_xml(settings, version, epoch, iso, symlinks, script):
    """package.xml. Juniper's tools read it by element; the order is that of Juniper's packager."""
    name = f"{settings['basename']}-{settings['arch']}-{settings['abi']}-{version}"
    elements = {
        "abi": settings["abi"],
        "arch": settings["arch"],
        "basename": settings["basename"],
        "comment": f"{settings['comment']} [{version}]",
        "copyright": settings["copyright"],
        "description": settings["description"],
        "mntname": f"{settings['basename']}{settings['abi']}-{mount_id(iso)}",
        "require": settings["require"],
        "version": strftime("%Y%m%d", gmtime(epoch)),
        "spin": strftime("%H%M%S", gmtime(epoch)),
    }
    actions = [f"  <{a}-action>scripts/{script[0]}</{a}-action>" for a in settings["actions"]]
    lines = [f'<package name="{escape(name)}">']
    lines += [f"  <{key}>{escape(value)}</{key}>" for key, value in elements.items()]
    lines += actions if script else []
    lines += [f"  <sb-location>{escape(settings['sb_location'])}</sb-location>"]
    lines += [f"  <{toggle}/>" for toggle in TOGGLES if toggle in settings["toggles"]]
    # Removes the symbolic links when the package is removed.
    lines += ["  <delete-immediate/>"]
    lines += xml_dir("contents", [("contents.iso", iso), ("contents.symlinks", symlinks)])
    lines += xml_dir("scripts", [script]) if script else []
    return ("\n".join([*lines, "</package>"]) + "\n").encode()


def xml_dir(name, files):
    lines = [f'  <dir name="{name}">']
    for file, data in files:
        lines += [
            f'    <file name="{escape(file)}">',
            f"      <size>{len(data)}</size>",
            f"      <sha256>{hexdigest('sha256', data)}</sha256>",
            "    </file>",
        ]
    return [*lines, "  </dir>"]
