"""What looks like a weakness: per language a case that is one, and one beside it that is not."""

import pytest

from inoculate.features.code.code_tree import parse
from inoculate.features.code.code_triage import MOST_HITS, Hit, hits
from inoculate.features.code.code_weaknesses import NAMES, anyway, sinks


def found(text, language):
    return {hit.cwe for hit in hits(parse(text, language))}


def python(*lines, head="def f(request):"):
    return found("\n".join([head, *(f"    {line}" for line in lines)]) + "\n", "python")


@pytest.mark.parametrize(
    ("bad", "good", "cwe"),
    [
        ("db.execute('select * from t where a=' + request.args['a'])",
         "db.execute('select * from t where a=?', [request.args['a']])", 89),
        ("os.system('ls ' + request.args['a'])", "os.system('ls')", 78),
        ("subprocess.run('ls ' + request.args['a'], shell=True)",
         "subprocess.run(['ls', request.args['a']])", 78),
        ("eval(request.args['a'])", "ast.literal_eval(request.args['a'])", 95),
        ("open('/srv/' + request.args['a'])", "open('/srv/a')", 22),
        ("pickle.loads(request.data)", "json.loads(request.data)", 502),
        ("yaml.load(request.data)", "yaml.load(request.data, Loader=yaml.SafeLoader)", 502),
        ("return redirect(request.args['to'])", "return redirect('/')", 601),
        ("requests.get(request.args['to'])", "requests.get('https://a.example')", 918),
        ("mark_safe('<b>' + request.args['a'])", "mark_safe('<b>')", 79),
        ("hashlib.md5(x)", "hashlib.sha256(x)", 328),
        ("get(u, verify=False)", "get(u, verify=True)", 295),
        ("password = 'hunter2hunter2'", "password = read()", 798),
    ],
)  # fmt: skip
def test_python(bad, good, cwe):
    assert cwe in python(bad)
    assert cwe not in python(good)


CASES = [
    ("java", "void f(HttpServletRequest request) throws E { %s }",
     'st.executeQuery("select a from t where b=" + request.getParameter("b"));',
     'st.executeQuery("select a from t where b=1");', 89),
    ("java", "void f(HttpServletRequest request) throws E { %s }",
     'Runtime.getRuntime().exec(request.getParameter("b"));',
     'Runtime.getRuntime().exec("ls");', 78),
    ("java", "void f() throws E { %s }", 'MessageDigest.getInstance("MD5");',
     'MessageDigest.getInstance("SHA-256");', 328),
    ("javascript", "app.get('/', (req, res) => { %s })",
     "cp.exec('ls ' + req.query.a)", "cp.exec('ls')", 78),
    ("typescript", "app.get('/', (req, res) => { %s })",
     "db.query('select a from t where b=' + req.query.a)",
     "db.query('select a from t where b=?', [req.query.a])", 89),
    ("php", "<?php function f() { %s }", "echo '<b>' . $_GET['a'];",
     "echo '<b>' . htmlspecialchars($_GET['a']);", 79),
    ("php", "<?php function f() { %s }", "include($_GET['a']);", "include('a.php');", 98),
    ("go", "func f(w http.ResponseWriter, r *http.Request) { %s }",
     'exec.Command("sh", "-c", r.FormValue("a"))', 'exec.Command("ls")', 78),
    ("c", "int f(char *p) { char b[9]; %s }", "gets(b);", "fgets(b, 9, stdin);", 242),
    ("c", "int f(char *p) { char b[9]; %s }", "printf(p);", 'printf("%%s", p);', 134),
    ("c", "int f(char *p) { char b[9]; %s }", "recv(0, b, 9, 0); system(b);", 'system("ls");', 78),
    ("cpp", "int f(char *p) { char b[9]; %s }", "strcpy(b, p);", "strlcpy(b, p, 9);", 120),
]  # fmt: skip


@pytest.mark.parametrize(("language", "around", "bad", "good", "cwe"), CASES)
def test_other_languages(language, around, bad, good, cwe):
    assert cwe in found(around % bad.replace("%%", "%"), language)
    assert cwe not in found(around % good.replace("%%", "%"), language)


def test_what_is_surer_to_be_from_outside_has_more_points():
    heads = ("def f(request):", "@app.route('/')\ndef f(a):", "def f(a):", "def _f(a):", "def f():")
    points = []
    for head in heads:
        data = "request.args['a']" if "request" in head else "a"
        (hit,) = hits(parse(f"{head}\n    os.system('ls ' + {data})\n", "python"))
        points.append(hit.points)
    assert points == sorted(points, reverse=True)
    assert len(set(points)) == len(points)


def test_data_that_conditions_drop_or_a_check_lets_by_is_no_hit():
    assert python("a = request.args['a']", "if 1 > 2:", "    eval(a)") == set()
    assert python("a = html.escape(request.args['a'])", "mark_safe('<b>' + a)") == set()
    assert 79 in python("a = request.args['a']", "mark_safe('<b>' + a)")
    test = ("if a not in ALLOWED:", "    return None")
    assert python("a = request.args['a']", *test, "return open(a)") == set()
    assert python("a = request.args['a']", "return open(a)") == {22}


def test_a_page_that_is_put_together_of_what_was_asked_for():
    head = "@app.route('/')\ndef f():"
    assert python("return '<b>' + request.args['a']", head=head) == {79}
    assert python("return '<b>'", head=head) == set()
    assert python("return '<b>' + request.args['a']", head="def f():") == set()


def test_reasons_name_lines_of_the_file():
    text = "def f(request):\n    a = request.args['a']\n    return db.execute('drop table ' + a)\n"
    (hit,) = hits(parse(text, "python"))
    assert (hit.cwe, hit.source, hit.line) == (89, 1, 3)
    assert hit.said(41) == (
        "db.execute takes a text made of 'request', which is from outside (SQL injection): "
        "line 41 to line 43"
    )
    assert Hit(328, 3, 1.5, "'md5(a)'").said(10) == "'md5(a)' (a weak hash): line 12"


def test_hits_are_bounded_and_the_most_points_come_first():
    text = "def f(a):\n" + "".join(f"    x{i} = hashlib.md5(a)\n" for i in range(200))
    told = hits(parse(text + "    os.system('ls ' + a)\n", "python"))
    assert len(told) == MOST_HITS
    assert told[0].cwe == 78


def test_comments_and_configuration_hold_nothing():
    assert python("# os.system('ls ' + request.args['a'])", "pass") == set()
    assert found("a: os.system\nb: md5(x)\n", "yaml") == set()


def test_every_weakness_of_the_tables_has_a_name():
    languages = ("python", "java", "javascript", "php", "go", "c")
    told = {its.cwe for name in languages for its in (*sinks(name), *anyway(name))}
    assert told <= NAMES.keys()
    assert {79} | told == set(NAMES)
    assert all(len(sinks(name)) > 5 for name in languages)
    assert sinks("typescript") == sinks("javascript")


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        ("q = 'select * from t where a=%s' % x", True),
        ("q = 'select * from t where a={}'.format(x)", True),
        ("q = f'delete from t where a={x}'", True),
        ("q = 'select * from t where a=%s'", False),
        ("q = 'select * from t ' + 'limit 1'", False),
        ("q = 'hello ' + x", False),
        ("q = 'select * from t where a=' + quote(x)", False),
    ],
)
def test_an_sql_text_counts_a_little_wherever_it_goes(body, is_one):
    assert python(body, head="def f(x):") == ({89} if is_one else set())


def test_an_sql_text_that_is_run_counts_once_and_more():
    text = "def f(x):\n    q = 'select * from t where a=%s' % x\n    db.execute(q)\n"
    (hit,) = hits(parse(text, "python"))
    assert hit.line == 3
    assert hit.points > hits(parse(text.replace("db.execute(q)", "return q"), "python"))[0].points
