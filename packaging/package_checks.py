"""What can be checked in a signed Junos extension package: `verify` prints it, `build` asks it."""

import re
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from calendar import timegm
from time import strptime

import junos_package as jp
from junos_package import FORMATS, Failure, hexdigest

ISO, SYMLINKS, PACKAGE_XML = "contents/contents.iso", "contents/contents.symlinks", "package.xml"
# Other packagers' gzip headers: one with neither name nor time, and one that holds both.
PLAIN_GZIP_HEADERS = (jp.GZIP_HEADER, jp.GZIP_HEADER[:8] + b"\x00\x03")
GZIP_HAS_NAME = 8
XML_ORDER = (
    "abi arch basename comment copyright description mntname require version spin".split()
    + ["*-action", "sb-location", *jp.TOGGLES, "delete-immediate", "dir"]
)


class Report:
    """A line for each check, and how many there were."""

    def __init__(self, quiet, file=sys.stdout):
        self.quiet, self.file, self.passed, self.failed = quiet, file, 0, 0

    def ok(self, text):
        self.passed += 1
        if not self.quiet:
            print(f"ok      {text}", file=self.file)

    def fail(self, text):
        self.failed += 1
        print(f"FAILED  {text}", file=self.file)

    def note(self, text):
        print(f"note    {text}", file=self.file)

    def check(self, good, text, problem):
        self.ok(text) if good else self.fail(problem)

    def attempt(self, function, *arguments):
        """Runs a group of checks; what ends it early is a failed check too."""
        try:
            return function(*arguments, self)
        except Failure as failure:
            self.fail(str(failure))
            return None


def check_container(data, report):
    """The gzip and tar around the files. Returns them by path."""
    header = data[: len(jp.GZIP_HEADER)]
    if header not in PLAIN_GZIP_HEADERS and header[3:4] != bytes([GZIP_HAS_NAME]):
        raise Failure("the package: its gzip header is not what packaging/build writes")
    files = jp.read_tgz(data)
    report.ok(f"the package: gzip and tar whole, {len(files)} files, nothing between them")
    return files


def check_as_built(data, files, order, report):
    """The container's every byte, which is what packaging/build writes around these files.

    package.xml, which is signed, tells whose the package is: packaging/build's mount name follows
    from the image, another packager's is random. No signature covers the container, so of another
    packager's only the shape is checked.
    """
    xml = ElementTree.fromstring(files[PACKAGE_XML])
    said = lambda tag: xml.findtext(tag, "")
    if not said("mntname").endswith("-" + jp.mount_id(files[ISO])):
        report.note("the package: is not packaging/build's: nothing covers its compression and its"
                    " files' owner, mode and time in the tar file")
        return
    ordered = {path: files[path] for path in [*order, *sorted(files.keys() - set(order))]}
    try:
        epoch = timegm(strptime(said("version") + said("spin"), "%Y%m%d%H%M%S"))
        name = jp.altered_member(jp.read_gzip(data), jp.write_tar(ordered, epoch))
    except ValueError:
        problem = f"{PACKAGE_XML}: version and spin are not a date and time that tar can hold"
        raise Failure(problem) from None
    if name:
        raise Failure(f"the package: {name}: the place or the header in tar is not what"
                      " packaging/build writes")
    report.check(
        data == jp.write_tgz(ordered, epoch),
        "the package: each byte of gzip and tar is what packaging/build writes",
        "the package: its gzip is not what packaging/build writes with the zlib of this machine,"
        f" {zlib.ZLIB_RUNTIME_VERSION}: it was altered, or compressed by another zlib",
    )


def find_format(files):
    for format in FORMATS.values():
        if format.signature_file in files:
            return format
    raise Failure("the package: holds neither manifest.sig nor manifest.xsig")


def check_certificates(files, format, root, prefix, report):
    """The signer's certificate, once its chain leads to the root, or is whole without one."""
    where = prefix + format.certs_file
    data = files[format.certs_file]
    chain = jp.read_certificates(data.decode(errors="replace"), where)
    if data != "".join(certificate.pem for certificate in chain).encode():
        raise Failure(f"{where}: holds something besides certificates in plain PEM")
    if chain != jp.in_order(chain[0], chain[1:], where):
        raise Failure(f"{where}: the certificates are not in order, each before its issuer")
    above = chain
    if len(chain) > 1 and chain[-1].subject == chain[-1].issuer:
        root, above = root or chain[-1], chain[:-1]
        if chain[-1] != root:
            raise Failure(f"{where}: ends with a root that is not the given one")
    try:
        jp.check_chain(above, root)
    except Failure as failure:
        raise Failure(f"{where}: {failure}") from None
    report.ok(f"{where}: {len(chain)} certificates, from {chain[0].common_name} (until"
              f" {chain[0].not_after}) to the root {(root or chain[-1]).common_name}")
    return chain[0]


def check_signature(files, format, signer, prefix, report):
    where = prefix + format.signature_file
    subject, signature = jp.read_signature(files[format.signature_file], where)
    # Unsigned, and so nothing that a device should go by; but it must not lie.
    is_new_form = subject != signer.subject and subject in jp.other_subjects(signer)
    report.check(
        subject == signer.subject or is_new_form,
        f"{where}: names its signer, {subject}",
        f"{where}: names {subject}, but {format.certs_file} is of {signer.subject}",
    )
    if is_new_form:
        report.note(f"{where}: names its signer as a newer OpenSSL does. packaging/build writes"
                    f" {signer.subject}, which devices are known to take")
    report.check(
        jp.signature_is_good(files["manifest"], signature, signer, format),
        f"{prefix}manifest: its signature is good (RSA, {format.digest.upper()})",
        f"{prefix}manifest: its signature in {where} does not fit: one of them was altered",
    )


def check_signed(files, format, root, prefix, report):
    """Certificates and signature of one of the two manifests."""
    signer = report.attempt(check_certificates, files, format, root, prefix)
    if signer:
        report.attempt(check_signature, files, format, signer, prefix)


def check_role_lines(lines, format, where, first, report):
    """The `/set` line: one in the sig format and before what it is for, none in the other."""
    at = [number for number, (path, _) in enumerate(lines) if path == "/set"]
    if format.has_role_line:
        report.check(
            at == [first] and lines[first][1].keys() == {"package_id", "role"},
            f"{where}:{first + 1}: gives what follows its package id and role",
            f"{where}: must have one /set line with package_id and role, as line {first + 1}",
        )
    else:
        report.check(not at, f"{where}: no /set line", f"{where}: /set is for the sig format only")


def check_attributes(where, path, attributes, allowed, report):
    for name in sorted(attributes.keys() - allowed):
        report.fail(f"{path}: {where} gives it {name}={attributes[name]}, which it must not have")


def check_fingerprint(where, path, data, attributes, format, report):
    expected, found = attributes.get(format.digest), hexdigest(format.digest, data)
    report.check(
        expected == found,
        f"{path}: {format.digest} {found}",
        f"{path}: {format.digest} is {found}, but {where} says {expected or 'none'}",
    )


def check_outer_manifest(files, format, report):
    lines = jp.read_manifest(files["manifest"], "manifest")
    check_role_lines(lines, format, "manifest", 0, report)
    listed = [path for path, _ in lines if path != "/set"]
    covered = sorted(set(files) - {"manifest", format.signature_file, format.certs_file})
    for path in covered:
        if path not in listed:
            report.fail(f"{path}: is in the package but not in manifest")
    for path, attributes in lines:
        if path == "/set":
            continue
        if path not in covered or listed.count(path) > 1:
            report.fail(f"{path}: is in manifest but not in the package, or twice")
        else:
            check_fingerprint("manifest", path, files[path], attributes, format, report)
            program = {"program_id"} if format.has_role_line and path.startswith("scripts/") else set()
            check_attributes("manifest", path, attributes, {format.digest} | program, report)


def check_inner_manifest(tree, format, report):
    """Every file of the image against pkg/manifest. Returns the payload's paths in its order."""
    where = "pkg/manifest"
    lines = jp.read_manifest(tree[where].data, where)
    own = [f"pkg/{name}" for name in
           ("manifest", format.digest_file, format.signature_file, format.certs_file)]
    check_role_lines(lines, format, where, len(own), report)
    listed = [path for path, _ in lines if path != "/set"]
    report.check(
        listed[: len(own)] == own,
        f"{where}: begins with its own four files",
        f"{where}: does not begin with {' '.join(own)}",
    )
    present = [path for path, file in tree.items() if file.kind != "d"]
    for path in sorted(set(present) - set(listed)):
        report.fail(f"{path}: is in {ISO} but not in {where}")
    for path, attributes in lines:
        if path == "/set":
            continue
        if path not in present or listed.count(path) > 1:
            report.fail(f"{path}: is in {where} but not in {ISO}, or twice")
            continue
        check_owner_and_mode(where, path, tree[path], attributes, report)
        allowed = {"uid", "gid", "mode"}
        if path not in own:
            check_fingerprint(where, path, tree[path].data, attributes, format, report)
            allowed |= {format.digest, "program_id"}
        check_attributes(where, path, attributes, allowed, report)
    return [path for path in listed if path not in own]


def check_owner_and_mode(where, path, file, attributes, report):
    said = tuple(attributes.get(name) for name in ("uid", "gid", "mode"))
    found = (str(file.uid), str(file.gid), f"{file.mode:o}")
    report.check(
        file.kind == "-" and said == found,
        f"{path}: a file with uid {found[0]}, gid {found[1]}, mode {found[2]}",
        f"{path}: is of kind '{file.kind}' with uid {found[0]}, gid {found[1]}, mode {found[2]},"
        f" but {where} says uid {said[0]}, gid {said[1]}, mode {said[2]}",
    )


def check_iso(image, format, root, certs, report):
    """The image, its manifest, and every file of it. Returns the payload's paths."""
    system_id, tree = jp.read_iso(image, ISO)
    report.check(
        system_id == jp.SYSTEM_ID,
        f"{ISO}: ISO 9660 with Rock Ridge, system id {system_id}",
        f"{ISO}: has system id {system_id!r}, not {jp.SYSTEM_ID}",
    )
    for path, file in tree.items():
        if file.kind == "d" and (file.uid or file.gid or file.mode & 0o022):
            report.fail(f"{ISO}: the directory /{path} is not root's alone to write")
    names = ("manifest", format.digest_file, format.signature_file, format.certs_file)
    files = {name: tree[f"pkg/{name}"].data for name in names if f"pkg/{name}" in tree}
    for name in names:
        if name not in files:
            raise Failure(f"pkg/{name}: is missing in {ISO}")
    digest = hexdigest(format.digest, files["manifest"])
    report.check(
        files[format.digest_file] == f"{digest}\n".encode(),
        f"pkg/{format.digest_file}: is the {format.digest} of pkg/manifest",
        f"pkg/{format.digest_file}: is not {digest}, the {format.digest} of pkg/manifest",
    )
    check_signed(files, format, root, "pkg/", report)
    report.check(
        files[format.certs_file] == certs,
        f"pkg/{format.certs_file}: the same as {format.certs_file}",
        f"pkg/{format.certs_file}: differs from {format.certs_file}",
    )
    return check_inner_manifest(tree, format, report)


def check_symlinks(data, payload, basename, report):
    lines = data.decode(errors="replace").split("\n")
    expected = [f"{jp.MOUNT_POINT}/{basename}/{path} /{path}" for path in payload]
    for line in expected:
        report.check(
            lines.count(line) == 1,
            f"{SYMLINKS}: {line.replace(' ', ' at ')}",
            f"{SYMLINKS}: lacks, or has twice, the line {line!r}",
        )
    if lines != [*expected, ""]:
        report.fail(f"{SYMLINKS}: is not a line for each file of {ISO}, in the manifest's order")


def check_package_xml(files, report):
    """The elements, and the size and SHA-256 of the files. Returns the package's basename."""
    try:
        root = ElementTree.fromstring(files[PACKAGE_XML])
    except ElementTree.ParseError as error:
        raise Failure(f"{PACKAGE_XML}: is not XML: {error}") from None
    text = {element.tag: (element.text or "") for element in root}
    order = [re.sub(r"^[a-z]+-action$", "*-action", element.tag) for element in root]
    needed = (*XML_ORDER[:10], "sb-location", "delete-immediate")
    missing = [tag for tag in needed if tag not in text]
    report.check(
        not missing and all(tag in XML_ORDER for tag in order)
        and order == sorted(order, key=XML_ORDER.index),
        f"{PACKAGE_XML}: has the elements of a package, in their order",
        f"{PACKAGE_XML}: lacks {' '.join(missing) or 'the right order'}: has {' '.join(order)}",
    )
    name = root.get("name", "")
    base = "-".join(text.get(tag, "") for tag in ("basename", "arch", "abi")) + "-"
    report.check(
        root.tag == "package" and re.fullmatch(re.escape(base) + jp.FILE_NAME, name),
        f"{PACKAGE_XML}: is of {name}",
        f"{PACKAGE_XML}: the name {name!r} is not its basename, arch and abi, {base}, and a version",
    )
    check_xml_shape(root, report)
    mount_name = f"{text.get('basename', '')}{text.get('abi', '')}-"
    report.check(
        re.fullmatch(re.escape(mount_name) + "[0-9a-f]{8}", text.get("mntname", "")),
        f"{PACKAGE_XML}: mount name {text.get('mntname')}",
        f"{PACKAGE_XML}: mntname {text.get('mntname')!r} is not {mount_name} and 8 hex digits",
    )
    check_xml_files(root, files, report)
    for element in root:
        if element.tag.endswith("-action") and element.text not in files:
            report.fail(f"{PACKAGE_XML}: {element.tag} is {element.text}, which is not there")
    return text.get("basename", "")


def check_xml_shape(root, report):
    """That readers who take the first of two elements and those who take the last agree."""
    paths = [f"{folder.get('name')}/{file.get('name')}" for folder in root for file in folder]
    folders = [f"dir {element.get('name')}" for element in root if element.tag == "dir"]
    named = paths + folders + [element.tag for element in root if element.tag != "dir"]
    for what in sorted({what for what in named if named.count(what) > 1}):
        report.fail(f"{PACKAGE_XML}: has {what} twice")
    for element in root.iter():
        tags = [child.tag for child in element]
        holders = {
            "package": element is root,
            "dir": set(tags) == {"file"},
            "file": sorted(tags) == ["sha256", "size"],
        }
        attributes = ["name"] if element.tag in holders else []
        if not holders.get(element.tag, not tags) or list(element.attrib) != attributes:
            report.fail(f"{PACKAGE_XML}: {element.tag} is not as in a package: it has"
                        f" {' '.join([*element.attrib, *tags])}")


def check_xml_files(root, files, report):
    said = {f"{folder.get('name')}/{file.get('name')}": file
            for folder in root.iter("dir") for file in folder.iter("file")}
    there = {path for path in files if "/" in path}
    for path in sorted(said.keys() ^ there):
        report.fail(f"{path}: is in only one of {PACKAGE_XML} and the package")
    for path in sorted(said.keys() & there):
        size, digest = str(len(files[path])), hexdigest("sha256", files[path])
        in_xml = (said[path].findtext("size"), said[path].findtext("sha256"))
        report.check(
            in_xml == (size, digest),
            f"{path}: {size} bytes, sha256 {digest}",
            f"{path}: has {size} bytes and sha256 {digest}, but {PACKAGE_XML} says"
            f" {in_xml[0]} and {in_xml[1]}",
        )


def check_package(data, root, report):
    """Checks all of a package's bytes. Without a root its own last certificate is trusted."""
    files = check_container(data, report)
    format = find_format(files)
    expected = ("manifest", format.signature_file, format.certs_file, PACKAGE_XML, ISO, SYMLINKS)
    for path in expected:
        if path not in files:
            raise Failure(f"{path}: is missing in the package")
    for path in sorted(files.keys() - set(expected)):
        if not path.startswith("scripts/"):
            report.fail(f"{path}: does not belong into a package")
    check_signed(files, format, root, "", report)
    report.attempt(check_outer_manifest, files, format)
    basename = report.attempt(check_package_xml, files)
    payload = report.attempt(check_iso, files[ISO], format, root, files[format.certs_file])
    if payload is not None:
        report.attempt(check_symlinks, files[SYMLINKS], payload, basename)
    if basename is not None:
        report.attempt(check_as_built, data, files, expected)
