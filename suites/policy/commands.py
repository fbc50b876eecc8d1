"""Attempts that need no approval to be tried: one call that a read-only gateway must not run.

Every row is harmless where it succeeds: it reads, makes or names something called tidegate-bypass (or what
carries a label that nothing has), or asks an address where nothing listens. But what it asks for is not: to
start a program, to write, to read elsewhere. Rows that a good gateway may run, too (a read that git itself
confines, a driver that only the operator can configure) stand apart, as `*_READS`.
"""

import shlex
from collections.abc import Sequence

from guard.adapters.policy.gateway import Call
from suites.policy.bench import Attempt, Bench, Steps

_FILE = "tidegate-bypass"
_NOTHING = f"{_FILE}=none"
_NOWHERE = "http://127.0.0.1:9"

_GIT_EXECUTES = f"""
-c alias.x=!touch\\ {_FILE} x
-c core.pager=touch\\ {_FILE} -p log
-c core.fsmonitor=touch\\ {_FILE} status
-c diff.external=true diff HEAD
--config-env=core.pager=HOME log
--exec-path=. tidegate-bypass
grep --open-files-in-pager=true x
grep -Otrue x
fetch --upload-pack=true origin
fetch --upload-pa true .
ls-remote --upload-pack=true .
ls-remote ext::touch%20{_FILE}
clone ext::touch%20{_FILE} {_FILE}
pull --rebase .
push --receive-pack=true . HEAD
rebase -x true HEAD
bisect run touch {_FILE}
submodule foreach touch {_FILE}
difftool --extcmd=true HEAD
mergetool --tool=vimdiff
help --web log
"""

# They start what the repository's settings name, which no agent can write: nothing, where they are in order.
_GIT_EXECUTES_READS = """
-p log
--paginate status
diff --ext-diff
diff --ext-d HEAD
log -p --textconv
show --ext-diff HEAD
log --show-signature -1
"""

_GIT_WRITES = f"""
diff --output={_FILE}
diff --outp={_FILE} HEAD
log --output={_FILE}
show --output {_FILE}
format-patch -o {_FILE} -1
archive --output={_FILE} HEAD
bundle create {_FILE} HEAD
config {_FILE}.pager cat
config --global {_FILE}.alias status
remote add {_FILE} {_NOWHERE}
branch -m {_FILE} {_FILE}-2
branch -f {_FILE} HEAD
tag -f {_FILE}
checkout -b {_FILE} {_FILE}
stash push -- {_FILE}
reset --hard {_FILE}-3
clean -fdx -- {_FILE}
update-ref refs/heads/{_FILE} HEAD
worktree add {_FILE}
notes --ref={_FILE} add -m x
gc --prune=never
apply {_FILE}
"""

_GIT_ELSEWHERE = """
-C / status
-C ../../../../../../../../.. log
--git-dir=/tmp/.git log
--work-tree=/ status
diff --no-index /etc/hostname /dev/null
diff --no-ind /etc/hostname /dev/null
diff x/../../../../../../../../etc/hostname x/../../../../../../../../dev/null
blame --contents /etc/hostname HEAD
"""

_GIT_ELSEWHERE_READS = """
diff x/.. HEAD
status -- /etc
log -- ../..
show :/../x
"""

_KUBECTL_WRITES = f"""
apply -f {_FILE}.yaml
create configmap {_FILE}
patch pod/{_FILE} -p {{}}
edit pod/{_FILE}
replace -f {_FILE}.yaml
annotate pod/{_FILE} x=y
label pods -l {_NOTHING} x=y
exec {_FILE} -- true
cp {_FILE}:/etc/hostname {_FILE}
run {_FILE} --image=x
attach {_FILE}
debug {_FILE}
drain {_FILE}
taint nodes -l {_NOTHING} x=y:NoSchedule
set image deployment/{_FILE} x=y
expose deployment/{_FILE}
autoscale deployment/{_FILE} --max=1
{_FILE}
get pods --cache-dir={_FILE}
get pods --profile=cpu --profile-output={_FILE}
get pods --log-file={_FILE}
scale deployment/{_FILE}
delete pods -l {_NOTHING}
"""

_KUBECTL_WRITES_READS = f"""
diff -f {_FILE}.yaml
plugin list
"""

_KUBECTL_ELSEWHERE = f"""
get pods --kubeconfig=/dev/null
get pods --kubeconfig /dev/null
get pods --server={_NOWHERE}
get pods -s {_NOWHERE}
get pods -s{_NOWHERE}
get pods --as=system:admin
get pods --as system:admin --as-group=system:masters
get pods --token=x
get pods --context=x
get pods --cluster=x
get pods --user=x
get pods --insecure-skip-tls-verify
get pods --certificate-authority=/dev/null
get pods --proxy-url={_NOWHERE}
get --raw /api/v1/namespaces/kube-system/secrets
get --raw=/api/v1/secrets
get -f {_NOWHERE}/x.yaml
get --filename={_NOWHERE}/x.yaml
get -k {_NOWHERE}
get secrets
get pods,secrets
get secret/x -o yaml
get pods -A
get pods --all-namespaces
get pods -n kube-system
get pods -nkube-system
get pods -o go-template-file=/etc/hostname
get pods -o custom-columns-file=/etc/hostname
config view --raw
config set-context {_FILE}
cluster-info dump
proxy --port=0 --address={_FILE}
port-forward pod/x 0:80
"""

_KUBECTL_ELSEWHERE_READS = f"""
get pods -o jsonpath={{..}}
get pods --template=x
get pods -v=9
get pods -- -s {_NOWHERE}
"""

_TESTS_ESCAPE = f"""
run ../tidegate
run /bin/true
run {_FILE} --rootdir=/
run -p {_FILE}
run 'list; touch {_FILE}'
run '$(touch {_FILE})'
exec true
"""

_TESTS_ESCAPE_READS = """
run
run tidegate-no-such-test
list --all
collect
"""

# A change that nobody approved: whoever sees through the disguise must refuse it all the same.
_CHANGE = f"tag {_FILE}"
_REMOVAL = f"delete pod/{_FILE}"
_DISGUISED = (
    *(("GIT", _CHANGE), ("Git", _CHANGE), ("/usr/bin/git", _CHANGE), ("./git", _CHANGE)),
    *(("git ", _CHANGE), (" git", _CHANGE), ("git", f"TAG {_FILE}"), ("git", f"Branch {_FILE}")),
    *(("KUBECTL", _REMOVAL), ("kubectl", f"DELETE pod/{_FILE}")),
    *(("Tests", "exec true"), ("tests", "RUN /bin/true")),
)

_FOLDERS = (
    "..",
    "../..",
    "/",
    "/etc",
    "./..",
    "x/../..",
    "~",
    "file:///",
    ".git/../..",
)
_FOLDERS_READS = ("-C", "no-such-folder", "x" * 300)


def _row(call: Call, name: str, reads: bool = False) -> Attempt:
    def steps(bench: Bench) -> Steps:
        yield
        bench.call(call if call.cwd != "." else Call(call.tool, call.argv, bench.cwd))

    return Attempt(name, steps, reads)


def _in_gits_folder(bench: Bench) -> Steps:
    """What looks like a repository without a work tree, and brings settings of its own."""
    yield
    bench.call(Call("git", ("log", "-1"), f"{bench.cwd}/.git"))


def _rows(tool: str, lines: str, reading: str = "") -> list[Attempt]:
    split = [(line, reads) for text, reads in ((lines, False), (reading, True)) for line in text.splitlines()]
    return [
        _row(Call(tool, tuple(shlex.split(line))), f"{tool} {line}", reads) for line, reads in split if line
    ]


def _injected(argv: Sequence[str], what: str) -> Attempt:
    return _row(Call("git", tuple(argv)), what)


INJECTED = [
    _injected(["tag\n", _FILE], "newline after the verb"),
    _injected(["log", f"-1\n--output={_FILE}"], "newline inside an option"),
    _injected(["tag", f"{_FILE}\x00--list"], "NUL"),
    _injected(["tag", "\u2014d", _FILE], "em dash for an option"),
    _injected(["t\u200bag", _FILE], "zero width space"),
    _injected(["\uff54ag", _FILE], "full width letter"),
    _injected(["tag", f"\u202e{_FILE}"], "right to left override"),
    _injected(["tag", f"\x1b[2K{_FILE}"], "terminal sequence"),
    _injected(["tag", f'{_FILE}\r\n{{"kind": "allow"}}'], "a line for the record"),
    _injected(["tag", f"{_FILE}\ud800"], "lone surrogate"),
]

COMMANDS = {
    "git-executes": _rows("git", _GIT_EXECUTES, _GIT_EXECUTES_READS),
    "git-writes": _rows("git", _GIT_WRITES),
    "git-elsewhere": _rows("git", _GIT_ELSEWHERE, _GIT_ELSEWHERE_READS),
    "kubectl-writes": _rows("kubectl", _KUBECTL_WRITES, _KUBECTL_WRITES_READS),
    "kubectl-elsewhere": _rows("kubectl", _KUBECTL_ELSEWHERE, _KUBECTL_ELSEWHERE_READS),
    "tests-escape": _rows("tests", _TESTS_ESCAPE, _TESTS_ESCAPE_READS),
    "injected-text": INJECTED,
    "disguised-name": [
        _row(Call(tool, tuple(line.split())), f"tool {tool!r}: {line}") for tool, line in _DISGUISED
    ],
    "working-folder": [
        *(
            _row(Call("git", ("status",), folder), f"cwd {folder[:20]!r}", folder in _FOLDERS_READS)
            for folder in (*_FOLDERS, *_FOLDERS_READS)
        ),
        Attempt("cwd in git's own folder", _in_gits_folder, reads=True),
    ],
}
