"""Calls that are a weakness if data from outside reaches them, and some that are one anyway.

Knowledge put in by hand, as in any analyser: which call, which of its arguments, which weakness.
Names are held against what is written before the arguments: ``db.cursor().execute``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

NAMES = {
    22: "path traversal",
    78: "command injection",
    79: "cross-site scripting",
    89: "SQL injection",
    90: "LDAP injection",
    94: "code injection",
    95: "code injection by eval",
    98: "a file that is included",
    120: "a copy without a bound",
    134: "a format from outside",
    190: "a size from outside",
    242: "a function that cannot be used safely",
    295: "certificates that nobody checks",
    327: "a broken cipher",
    328: "a weak hash",
    338: "a guessable random number",
    352: "no protection against forged requests",
    377: "a temporary file that others can name",
    489: "debugging left on",
    501: "outside data in a session",
    502: "deserialisation",
    601: "open redirect",
    611: "XML that may name other files",
    614: "a cookie sent in the clear",
    643: "XPath injection",
    732: "a file that all may change",
    798: "a secret in the code",
    918: "a request to an address from outside",
}
"""What each weakness is called here, by its CWE number."""


@dataclass(frozen=True, slots=True)
class Sink:
    """A call that acts on what it is given.

    Attributes:
        cwe: the weakness.
        name: what is written before the arguments, its last part first.
        places: arguments that matter, from 0; none for all of them, -1 for the object.
        needs: "" for any data; "text" where it must be put together of texts; "sql" where it must
            be that or an SQL text.
        points: how much a hit counts; see ``code_triage``.
    """

    cwe: int
    name: re.Pattern[bytes]
    places: tuple[int, ...]
    needs: str
    points: float


# language, weakness, arguments, what they need, points, names; a blank at the start goes on
_SINKS = r"""
python 89 0 sql 2.0 (?:execute|executemany|executescript|raw|mogrify)|RawSQL|sql\.SQL|text
python 78 0 text 2.0 os\.(?:system|popen\d?)|commands\.get(?:status)?output|getoutput
 |getstatusoutput
python 78 0 shell 2.0 (?:subprocess\.)?(?:call|run|Popen|check_output|check_call)
 |create_subprocess_shell
python 95 0 any 2.0 (?<![.\w])eval
python 94 0 any 2.0 (?<![.\w])exec|execfile|(?<![.\w])compile|render_template_string|from_string
python 502 0 any 2.0 (?:c?[pP]ickle|marshal|dill|jsonpickle|shelve|joblib)\.(?:loads?|decode|open)
python 502 0 yaml 2.0 yaml\.(?:load|load_all|unsafe_load)
python 22 0 any 1.0 (?<![.\w])open|io\.open|os\.open|codecs\.open|send_file|FileResponse
 |extractall|extract|os\.(?:remove|unlink|rmdir|mkdir|makedirs)|shutil\.\w+|FileIO|Path
python 22 -1 any 1.0 read_text|read_bytes|write_text|write_bytes|unlink
python 79 0 text 1.0 HttpResponse|make_response|mark_safe|Markup|self\.write|Response
python 601 0 any 1.2 redirect|HttpResponseRedirect|RedirectResponse
python 918 * any 1.2 urlopen|urlretrieve|requests\.(?:get|post|put|head|delete|patch|request)
 |httpx\.\w+
python 90 * text 1.5 search(?:_s|_st|_ext|_ext_s)|(?:conn|connection|ldap\w*)\.search
python 643 0 text 1.5 xpath|(?:etree|tree|root)\.(?:find|findall)|XPath|select
python 611 0 any 0.7 etree\.(?:parse|fromstring|XML)|minidom\.parse(?:String)?
 |sax\.parse(?:String)?
java 89 0 sql 2.0 execute(?:Query|Update|Batch|LargeUpdate)?|addBatch|prepare(?:Statement|Call)
 |create(?:Native|SQL)?Query|queryFor\w+|batchUpdate|query
java 78 * any 2.0 (?:getRuntime\(\)|runtime|r|rt)\.exec|newProcessBuilder|pb\.command
java 94 0 any 2.0 (?:engine|shell|groovy\w*|interpreter)\.eval(?:uate)?
java 502 -1 any 2.0 readObject|readUnshared|newXMLDecoder
java 502 0 any 2.0 fromXML|ObjectInputStream|newObjectInputStream|yaml\.load
java 22 * any 1.0 newFile(?:Input|Output)?(?:Stream|Reader|Writer)?|newRandomAccessFile
 |Paths\.get|Path\.of|Files\.\w+
java 79 * any 1.0 (?:[wW]riter\w*(?:\(\))?|response|out)\.(?:print|println|write|format|printf
 |append)
java 601 0 any 1.2 sendRedirect
java 918 * any 1.2 newURL|openConnection|openStream|getForObject|getForEntity
java 90 * text 1.5 (?:ctx|context|idc|ldap\w*|dir\w*)\.search
java 643 0 text 1.5 (?:xp|xpath|XPath|\))\.(?:compile|evaluate)|selectNodes|selectSingleNode
java 611 * xml 0.7 (?:[bB]uilder|[rR]eader|[pP]arser|[uU]nmarshaller|db)\.(?:parse|read|unmarshal)
java 501 * any 0.8 (?:session\w*|getSession\(\w*\))\.(?:setAttribute|putValue)
java 134 0 any 1.0 (?:String|out|writer\w*|\))\.(?:format|printf)
javascript 89 0 sql 2.0 query|execute|raw|exec|run|all
javascript 78 0 text 2.0 (?<![\w/])(?:exec|execSync)|child_process\.(?:exec|execSync|spawn)
 |cp\.\w+|shelljs\.exec
javascript 95 0 any 2.0 (?<![.\w])eval
javascript 94 * any 2.0 newFunction|(?<![.\w])Function|vm\.run\w+|newvm\.Script|runInNewContext
 |runInContext|runInThisContext
javascript 502 0 any 2.0 unserialize|deserialize|yaml\.load
javascript 22 0 any 1.0 (?:fs|fsp|promises)\.\w+|sendFile|createReadStream|createWriteStream
javascript 79 * text 1.0 document\.write(?:ln)?|insertAdjacentHTML|res\.(?:send|write|end)
javascript 79 0 any 1.0 \.html|dangerouslySetInnerHTML|bypassSecurityTrustHtml
javascript 601 0 any 1.2 redirect|location\.(?:assign|replace)
javascript 918 0 any 1.2 (?<![.\w])fetch|axios(?:\.\w+)?|(?:http|https|request|needle
 |got)\.(?:get|post|request)|(?<![.\w])request
javascript 90 * text 1.5 (?:client|ldap\w*)\.search
javascript 643 0 text 1.5 xpath\.(?:select|evaluate|parse)|(?<![.\w])select
php 89 * sql 2.0 mysqli?_(?:query|multi_query|real_query|unbuffered_query)|pg_(?:query
 |send_query)|sqlite_\w+|->(?:query|exec|prepare|multi_query|get_results|get_row|get_var)
php 78 0 any 2.0 (?<![>:\w])(?:exec|system|shell_exec|passthru|popen|proc_open|pcntl_exec)|`
php 95 0 any 2.0 (?<![>:\w])(?:eval|assert)
php 94 * any 2.0 create_function|call_user_func(?:_array)?
php 98 * any 2.0 include|include_once|require|require_once
php 502 0 any 2.0 (?<![>:\w])unserialize
php 22 0 any 1.0 (?<![>:\w])(?:fopen|readfile|file|file_get_contents|file_put_contents|unlink
 |rmdir|mkdir|copy|rename|opendir|scandir|move_uploaded_file)
php 79 * any 1.0 echo|print|printf|print_r|vprintf
php 601 0 text 1.0 (?<![>:\w])header
php 918 * any 1.2 curl_init|curl_setopt|fsockopen
php 90 * text 1.5 ldap_(?:search|list|read)
php 643 0 text 1.5 ->(?:xpath|evaluate)
go 89 * sql 2.0 (?:db|tx|conn|stmt|DB|Tx|database)\.(?:Query|QueryRow|Exec|Prepare)(?:Context)?
 |\.(?:Raw|Query|QueryRow|QueryContext|QueryRowContext|ExecContext)
go 78 * any 2.0 exec\.Command(?:Context)?|syscall\.(?:Exec|ForkExec)|os\.StartProcess
go 22 * any 1.0 os\.(?:Open|OpenFile|Create|ReadFile|WriteFile|Remove|RemoveAll|MkdirAll)
 |ioutil\.(?:ReadFile|WriteFile|ReadDir)|http\.ServeFile
go 79 * text 1.0 fmt\.Fprintf|fmt\.Fprint|w\.Write|template\.HTML
go 601 * any 1.2 http\.Redirect|\.Redirect
go 918 * any 1.2 http\.(?:Get|Post|Head|PostForm|NewRequest|NewRequestWithContext)|net\.Dial
c 78 0 any 2.0 (?:system|popen|wpopen|_popen)
c 78 * any 2.0 exec[lv][pe]*|ShellExecute\w*|CreateProcess\w*|WinExec
c 134 0 any 1.5 v?printf|printk|v?wprintf
c 134 1 any 1.5 v?fprintf|v?sprintf|syslog|v?dprintf|asprintf
c 134 2 any 1.5 v?snprintf
c 120 1 any 1.0 strcpy|strcat|wcscpy|wcscat|lstrcpy\w*|stpcpy|StrCpy\w*
c 120 * text 1.0 v?sprintf
c 120 2 any 0.8 memcpy|memmove|bcopy|strncpy|strncat|wmemcpy|copy_from_user
c 190 * product 0.8 malloc|realloc|calloc|kmalloc|alloca|vmalloc|xmalloc|kzalloc
c 22 0 any 0.6 fopen|open|freopen|opendir|unlink|remove|creat
c 89 1 sql 2.0 mysql_query|mysql_real_query|sqlite3_exec|PQexec|sqlite3_prepare\w*
"""
_ALSO = {"typescript": "javascript", "tsx": "javascript", "cpp": "c"}

# language, or * for all; weakness; points; how the call or the assignment begins
_ANYWAY = r"""
python 328 1.5 hashlib\.(?:md5|sha1|md4)|(?:MD5|SHA|SHA1)\.new|hashlib\.new\(["'](?:md5|sha1
 |md4)["']
python 327 2.0 (?:DES3?|ARC4|ARC2|Blowfish)\.new|AES\.new\([^()]*MODE_ECB|modes\.ECB
python 327 1.5 ssl_version\s*=\s*(?:ssl\.)?PROTOCOL_(?:SSL|TLSv1\b)
 |SSL\.Context\((?:SSL\.)?(?:SSLv|TLSv1_M)
python 338 0.8 random\.(?:random|randint|randrange|choice|choices|sample|getrandbits|uniform)\(
python 295 2.5 ssl\._create_unverified_context|verify\s*=\s*False
 |\w*\.?verify_mode\s*=\s*(?:ssl\.)?CERT_NONE|\w*\.?check_hostname\s*=\s*False
python 377 2.0 (?:tempfile\.mktemp|os\.(?:tempnam|tmpnam))\(
python 489 2.0 debug\s*=\s*True
python 732 1.5 os\.chmod\([^()]*(?:0o?[0-7]?[0-7][0-7][2367]\b|S_IWOTH|S_IRWXO)
python 352 1.5 csrf_exempt
python 614 1.5 secure\s*=\s*False|\w*\.?SESSION_COOKIE_SECURE\s*=\s*False
java 328 1.5 (?:java\.security\.)?MessageDigest\.getInstance\("(?:MD[245]|SHA-?1?)"
 |DigestUtils\.(?:md5|sha1)\w*
java 327 2.0 (?:javax\.crypto\.)?(?:Cipher|KeyGenerator)\.getInstance\("(?:DES|DESede|RC[24]
 |Blowfish|[\w]+/ECB)\b
java 338 0.8 (?:java\.lang\.)?Math\.random\(|new\s+(?:java\.util\.)?Random\(
java 614 1.5 \w+\.setSecure\(false\)
javascript 328 1.5 (?:crypto\.)?createHash\(["'](?:md5|sha1|md4)["']
javascript 327 2.0 (?:crypto\.)?createCipher\(|(?:crypto\.)?createCipheriv\(["'](?:des|rc4|bf
 |[\w-]+-ecb)
javascript 338 0.8 Math\.random\(|(?:crypto\.)?pseudoRandomBytes\(
javascript 295 2.5 ["']?rejectUnauthorized["']?\s*:\s*false
 |process\.env\.NODE_TLS_REJECT_UNAUTHORIZED\s*=|process\.env\[
php 328 1.5 (?:md5|sha1|md5_file|sha1_file)\(
php 327 2.0 mcrypt_\w+\(|openssl_encrypt\([^()]*["'](?:des|rc4|bf|[\w-]+-ecb)
php 338 0.8 (?:rand|mt_rand|uniqid|lcg_value|mt_srand|srand)\(
php 295 2.5 curl_setopt\([^()]*CURLOPT_SSL_VERIFY(?:PEER|HOST)\s*,\s*(?:0|false|FALSE)
go 328 1.5 (?:md5|sha1)\.(?:New|Sum)\(
go 327 2.0 (?:des|rc4)\.New\w*\(
go 338 0.8 rand\.(?:Int|Intn|Int31n?|Int63n?|Float64|Seed|Read)\(
go 295 2.5 InsecureSkipVerify\s*:\s*true
c 242 3.0 gets\(
c 120 0.4 (?:strcpy|strcat|sprintf|vsprintf|wcscpy|wcscat|lstrcpyA?|scanf|stpcpy)\(
c 377 2.0 (?:mktemp|tmpnam|tempnam|tmpnam_r)\(
c 338 0.8 (?:rand|random|srand|drand48|lrand48)\(
c 328 1.5 (?:MD[45]|SHA1?)_?(?:Init|Update|Final)?\(|EVP_(?:md5|sha1|md4)\(
c 327 2.0 EVP_(?:des|rc4|rc2|bf)_\w+\(|DES_\w+\(
c 732 1.5 chmod\([^()]*(?:0[0-7]?[0-7][0-7][2367]\b|S_IWOTH|S_IRWXO)
* 798 1.5 (?:\w+\s*(?:\.|->)\s*|\$|const\s+|var\s+)?\w*(?:passw(?:or)?d|passwd|secret(?:_?key)?
 |api_?key|auth_?token)\s*:?=\s*["'][^"'\s{}<>%$]{6,}["']$
"""


@dataclass(frozen=True, slots=True)
class Anyway:
    """How something begins that is weak whatever reaches it."""

    cwe: int
    text: re.Pattern[bytes]
    points: float


@lru_cache(maxsize=64)
def sinks(language: str) -> tuple[Sink, ...]:
    """Return the calls of a language that act on what they are given."""
    return tuple(_sinks(_ALSO.get(language, language)))


@lru_cache(maxsize=64)
def anyway(language: str) -> tuple[Anyway, ...]:
    """Return what is weak in a language whatever reaches it."""
    wanted = ("*", _ALSO.get(language, language))
    return tuple(
        Anyway(int(cwe), re.compile(text.encode(), re.IGNORECASE if cwe == "798" else 0), float(p))
        for language, cwe, p, text in (line.split(" ", 3) for line in _lines(_ANYWAY))
        if language in wanted
    )


def _lines(table: str) -> Iterator[str]:
    """Yield the lines of a table; one that begins with a blank goes on with the last."""
    yield from filter(None, table.replace("\n ", "").split("\n"))


def _sinks(language: str) -> Iterator[Sink]:
    for line in _lines(_SINKS):
        its, cwe, places, needs, points, names = line.split(" ", 5)
        if its == language:
            # a name must end here, and begin where a word begins
            pattern = re.compile(rf"(?:^|(?<=\W)|(?=[^\w]))(?:{names})$".encode())
            at = () if places == "*" else (int(places),)
            yield Sink(int(cwe), pattern, at, "" if needs == "any" else needs, float(points))
