#!/usr/bin/env python3
"""Writes reference.json: templates, and what jinja2 makes of them as transformers sets it up.

    python3 make.py            # in this folder; needs jinja2 3.1 (Debian: python3-jinja2)

A case has "template" or "shared" (a tokenizer_config.json under ../shared whose chat_template is
used), "vars", and "want" or, where jinja2 raises, "error". Our own templates use the constructs of
the published ones of Qwen, Llama, Mistral, Phi, Gemma and others; theirs are not copied here.
"""
import json
import os
import random

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception

cases = []


def case(template, shared=None, **variables):
    c = {"shared": shared} if shared else {"template": template}
    c["vars"] = variables
    try:
        c["want"] = env.from_string(template).render(**variables)
    except Exception as e:  # noqa: BLE001: whatever it raises, we must refuse too
        c["error"] = f"{type(e).__name__}: {e}"
    if " at 0x" not in c.get("want", ""):  # an address: another one the next time
        cases.append(c)


TOOL = {"type": "function", "function": {"name": "weather", "description": "It's \"now\" <b>&</b> 天気", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "enum": ["東京", "Paris"]}, "days": {"type": "integer", "minimum": 1, "x": 1.5}}, "required": ["city"]}}}
CHATS = {
    "one": [{"role": "user", "content": "Hi"}],
    "system": [{"role": "system", "content": " You are kind.\n"}, {"role": "user", "content": "  Hi there  "}],
    "turns": [{"role": "system", "content": "S"}, {"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "3 'q' \"d\" \\ 日本語 🎌"},
              {"role": "assistant", "content": "<think>\nhm\n</think>\n\n4"}],
    "alternation broken": [{"role": "user", "content": "1"}, {"role": "user", "content": "2"}],
    "none": [],
    "no content": [{"role": "user", "content": None}],
    "tools": [{"role": "user", "content": "weather?"}, {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": "東京", "days": 2}}},
              {"type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Paris\"}"}}]}, {"role": "tool", "content": "sunny"}, {"role": "tool", "content": "rain"}, {"role": "user", "content": "thanks"}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}],
}


def chats(template, shared=None, **more):
    for messages in CHATS.values():
        for prompt in (False, True):
            case(template, shared, messages=messages, tools=None, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>", **more)


for path in ("tokenizers/qwen3", "tokenizers/phi35"):
    file = os.path.join("..", "..", "..", "..", "shared", path, "tokenizer_config.json")
    if os.path.exists(file):
        source = json.load(open(file, encoding="utf-8"))["chat_template"]
        chats(source, shared=path)
        case(source, path, messages=CHATS["tools"], tools=[TOOL], add_generation_prompt=True, enable_thinking=False)
        case(source, path, messages=CHATS["one"], tools=[TOOL, TOOL], add_generation_prompt=False)

# A default system message, tool calls, a look at the neighbours: the constructs of Qwen2.5.
chats("""{%- if messages[0]['role'] == 'system' %}
    {{- '<sys>' + messages[0]['content'] + '</sys>\\n' }}
{%- else %}
    {{- '<sys>Be brief.</sys>\\n' }}
{%- endif %}
{%- for turn in messages %}
    {%- if turn.role == "user" or (turn.role == "system" and not loop.first) or (turn.role == "assistant" and not turn.tool_calls) %}
        {{- '<' + turn.role + '>' + turn.content + '</>' + '\\n' }}
    {%- elif turn.role == "assistant" %}
        {%- for c in turn.tool_calls %}
            {%- if c.function is defined %}
                {%- set c = c.function %}
            {%- endif %}
            {{- '\\n{"call": "' }}
            {{- c.name }}
            {{- '", "with": ' }}
            {{- c.arguments | tojson }}
            {{- '}' }}
        {%- endfor %}
    {%- elif turn.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<results>' }}
        {%- endif %}
        {{- turn.content }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '</results>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<assistant>' }}{%- endif %}
""")
# On one line: alternation, a slice of the messages, set within if, strip: the constructs of Llama 2 and Mistral.
chats("""{% if messages and messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set system = false %}{% endif %}{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('user and assistant must alternate') }}{% endif %}{% if loop.index0 == 0 and system != false %}{% set words = '((' + system + '))\\n' + m['content'] %}{% else %}{% set words = m['content'] %}{% endif %}{% if m['role'] == 'user' %}{{ bos_token + 'Q: ' + words.strip() }}{% else %}{{ ' A: '  + words.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""")
# + before a filter, set within a loop: the constructs of Llama 3.
chats("""{% for m in messages %}{% set words = '[' + m['role'] + ']\\n\\n'+ m['content'] | trim + '[end]' %}{% if loop.index0 == 0 %}{% set words = bos_token + words %}{% endif %}{{ words }}{% endfor %}{% if add_generation_prompt %}{{ '[assistant]\\n\\n' }}{% endif %}""")
# Tests of what is defined, not before is, reject, tojson with an indent, parts: the constructs of Llama 3.1 and 3.2.
PARTS = """{{- bos_token }}
{%- if not tools_first is defined %}
    {%- set tools_first = true %}
{%- endif %}
{%- if not today is defined %}
    {%- if clock is defined %}
        {%- set today = clock("%d %b") %}
    {%- else %}
        {%- set today = "1 May" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- What follows is ours. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set words = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set words = "" %}
{%- endif %}
{%- if extras is defined %}
    {{- "Extras: " + extras | reject('equalto', 'b') | join(", ") + "\\n"}}
{%- endif %}
{{- today + ": " + words }}
{%- if tools is not none and not tools_first %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{%- if tools_first and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("no message for the tools") }}
{%- endif %}
    {{- '<user>\\n\\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
    {%- endfor %}
    {{- first + "</>"}}
{%- endif %}
{%- for m in messages %}
    {%- if not (m.role == 'ipython' or m.role == 'tool' or 'tool_calls' in m) %}
        {{- '<' + m['role'] + '>' }}
        {%- if m['content'] is string %}
            {{- m['content'] | trim}}
        {%- else %}
            {%- for part in m['content'] %}
                {%- if part['type'] == 'image' %}
                    {{- '<|image|>' }}
                {%- elif part['type'] == 'text' %}
                    {{- part['text'] | trim }}
                {%- endif %}
            {%- endfor %}
        {%- endif %}
    {%- elif 'tool_calls' in m %}
        {%- if not m.tool_calls|length == 1 %}
            {{- raise_exception("one call at a time") }}
        {%- endif %}
        {%- for key, value in m.tool_calls[0].function.arguments | items %}
            {{- key + '="' + value + '"' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- endif %}
        {%- endfor %}
    {%- elif m.content is mapping or m.content is iterable %}
        {{- m.content | tojson }}
    {%- endif %}
{%- endfor %}
"""
chats(PARTS)
case(PARTS, messages=CHATS["system"], tools=[TOOL], add_generation_prompt=True, bos_token="<s>", today="2 Jan")
case(PARTS, messages=CHATS["system"], tools=[TOOL], tools_first=False, extras=["a", "b", "c"], add_generation_prompt=True, bos_token="<s>")
# namespace, selectattr, loop controls, list, map, an expression with if, as newer Mistral and Gemma.
chats("""{%- set user_messages = messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0, found=false) %}
{%- for message in messages %}
    {%- if not (message.role == "tool" or message.role == "system" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message["role"] == "tool" %}{% continue %}{% endif %}
    {%- if loop.index > 6 %}{% break %}{% endif %}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] %}
    {%- if message["role"] == "user" and message == user_messages[-1] %}
        {{- "[LAST]" }}
    {%- endif %}
    {{- '<start_of_turn>' + role + '\n' + (message['content'] | default("", true) | string | trim) + '<end_of_turn>\n' -}}
{%- endfor %}
{{- messages | map(attribute="role") | join("|") }}
{%- if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}""")
# Macros, dictionaries, sorted keys, several names in a loop, generation marks.
chats("""{%- macro part(m, sep="; ") -%}
    {%- for k, v in m.items() -%}{{ k }}={{ v }}{{ sep if not loop.last }}{%- endfor -%}
{%- endmacro %}
{%- macro outer(m) -%}[{{ part(m, sep=", ") }}]{%- endmacro %}
{% for m in messages if m.role != 'system' %}
{{ loop.index }}/{{ loop.length }} {{ outer(m) }} {{ loop.cycle('a', 'b') }}{% if loop.previtem is defined %} {{ loop.previtem.role }}{% endif %}

{% generation %}
{{ m.content }}
{% endgeneration %}
{% else %}
nothing
{% endfor %}
{% set block %}
  {{ bos_token ~ 1 ~ none ~ true ~ 1.50 }}
{% endset %}
{{ block | trim | upper }}""")

# White space control.
for t in ("a\n  {% if true %}\n b\n  {% endif %}\nc\n", "a {% if true %} b {% endif %} c", "  {{ 1 }}\n  {{- 2 -}}  \n x", "  {%- if true -%}\n\n x {%+ endif +%}\n y",
          "{# c #}\n x\n   {# d #}  \n{#- e -#}  z", "a\n\n", "a\n{% set x = 1 %}\n\nb", "x{% set x = 1 -%}  \n\n y", "\r\na\r\n {% if 1 %}\r\nb{% endif %}", "  {%+ if true %}a{% endif %}",
          "{% if true %}  {% if true %}  {% endif %}  {% endif %}|", "\t{% set a=1 %}\t\n\t{{ a }}", "{{ '{{' }}{{ \"%}\" }}{{ {'a': {'b': 1}}['a']['b'] }}", "a {#- b -#} c", "x\n {{- '' }} y"):
    case(t)

# Expressions.
DATA = dict(s="Hello, World", e="", n=7, z=0, f=2.5, l=[1, 2, 3], m=["b", "a", "C"], d={"a": 1, "b": [True, None], "items": 3}, t=True, no=None, u="日本語 é\tx",
            ms=CHATS["turns"], nested=[{"a": {"b": 1}}, {"a": {"b": 2}}], q="it's", qq="say \"it's\"")
for x in r"""s[0] | s[-1] | s[1:4] | s[::-1] | s[:-2] | s[20:] | u[1] | u[::2] | l[5] | l[-1] | l[::-1] | l[1:][0] | d.a | d['a'] | d.zz | d.zz.y | d.items() | d.items | d['items'] | d.keys()|list | d.values()|list
n + 1 | n - 10 | n * 2 | n / 2 | n // 2 | -n // 2 | n % 3 | -n % 3 | n ** 2 | 2 ** 70 | f * 2 | f // 1 | -f % 1 | 1 / 3 | 1e20 | 1e-5 | 10.0 | 1e16 | 123456789.125 | n / z | -2 ** 2 | 2 ** 3 ** 2 | 1 - -1 | +3
s + 'x' | s + n | 'a' * 3 | 3 * 'ab' | l * 2 | l + [4] | l + s | (1,) + (2,) | 'a' ~ 1 ~ none ~ f ~ l | 'a' 'b' | "a\tb\\n\x41\u3042\101\q" | 'it\'s'
s == 'Hello, World' | 1 == 1.0 | 1 == true | '1' == 1 | l == [1, 2, 3] | d == {'b': [true, none], 'a': 1, 'items': 3} | none == false | zz == none | zz == yy | 1 < 2 < 3 | 1 < 2 > 3 | 'a' < 'b' | 'a' < 1 | [1, 2] < [1, 3] | 1 != 2
'ell' in s | 2 in l | 9 not in l | 'a' in d | 1 in 'a' | not s | not not s | not e and s | e or 'x' | s and e | none or 0 | zz or 'd' | 1 if z else 2 | 1 if n | (1 if z) | 1 if z else 2 if e else 3 | not 'a' in s | (not 'a') in s
l | length | s|length | zz|length | n|length | d|length | m|sort | m|sort(reverse=true) | m|sort(case_sensitive=true) | l|join(', ') | m|join | ms|map(attribute='role')|join(',') | nested|map(attribute='a.b')|list | nested|sum(attribute='a.b') | l|sum | m|map('upper')|list | l|select('odd')|list | l|reject('equalto', 2)|list | ms|selectattr('role', 'in', ['user', 'system'])|map(attribute='content')|list | ms|rejectattr('content')|list | [0, 1, '', 'a']|select|list | no|select|list | z|map('upper')|list | zz|selectattr('a')|list | n|select|list
l|first | l|last | []|first | zz|default('x') | e|default('x') | e|default('x', true) | no|default('x') | no|d('x', boolean=true) | s|upper | s|lower | 'abc DEF'|capitalize | "they're bill's"|title | s|replace('l', 'L') | s|replace('l', 'L', 1) | '  x '|trim | 'xxaxx'|trim('x') | n|string + 'a' | '42'|int + 1 | 'x'|int | '4.7'|int | 4.7|int | 'x'|int(9) | '1.5'|float | l|reverse|list | 'abc'|reverse | 'a<b>&"'|e | d|tojson | d|tojson(indent=2) | l|tojson(indent=1) | []|tojson(indent=2) | {}|tojson | u|tojson | 'é<>&\u0001"'|tojson | f|tojson | d|tojson(sort_keys=true) | l|tojson(separators=(',', ':')) | 'é'|tojson(ensure_ascii=true) | zz|tojson | d|dictsort | [3,1,3,2]|unique|list | l|max | l|min | -3|abs | 'a\nb\n\nc'|indent | 'a\nb'|indent(2, true) | d|items|list | 'ab'|list
'a,b,c'.split(',') | ' a  b c '.split() | 'a,b,c'.split(',', 1) | 'a,b,c'.rsplit(',', 1) | ' a b  c '.split(none, 1) | ' a b  c '.rsplit(none, 1) | 'abc'.startswith('ab') | 'abc'.endswith(('x', 'c')) | '  a '.strip() | 'xxaxx'.strip('x') | 'xxaxx'.lstrip('x') | 'xxaxx'.rstrip('xa') | 'abc'.upper() | 'a-b'.replace('-', '+') | 'abc'.find('c') | '日本'.find('本') | 'abc'.find('z') | 'abc'.index('z') | ', '.join(m) | ', '.join(l) | 'aXbX'.count('X') | 'a\nb\r\nc\n'.splitlines() | 'abc'.isdigit() | '12'.isdigit() | 'ab'.isalpha() | 'aB'.title() | 'abc'.capitalize() | 'abc'.removeprefix('a') | 'abc'.removesuffix('c') | d.get('a') | d.get('zz') | d.get('zz', 5) | l.index(2) | l.count(1) | l.append(4) | d.update({}) | d.pop('a') | s.__class__ | s['__class__'] | l.zz | s.zz | n.zz | n() | zz() | 'abc'['upper']() | "".join(["a"])
s is defined | zz is defined | zz is undefined | no is none | zz is none | no is defined | s is string | n is string | n is number | t is number | t is integer | n is integer | f is float | t is boolean | d is mapping | l is mapping | l is iterable | s is iterable | n is iterable | l is sequence | d is sequence | zz is iterable | t is true | n is true | z is false | no is false | n is odd | n is even | n is divisibleby 7 | n is divisibleby(2) | n is eq 7 | s is in ['x'] | 'a' is in d | n is gt 3 | n is not none | n is not defined | 'AB' is upper | 'ab' is lower | s is callable | raise_exception is callable | n is sameas 7 | not n is none | s is string and n is number | n is none or s
range(3)|list | range(1, 7, 2)|list | range(5, 0, -2)|list | range(0) | range(1000000)|list | dict(a=1, b=2) | namespace(a=1).a | namespace(a=1).b | {'a': 1, 'b': 'x'} | [1, 'a', none, true, 1.0, (1,), ()] | (1, 2) | () | [] | {} | 1, 2 | {1: 2}[1] | {'k': 1}.k | [[1], [2]][1][0] | q | [q] | [qq] | [u] | ['\x00\x7f\u200b\U0001F38C'] | ['a\\b'] | no | t | zz | f | 100000.0 | 1e100 | 0.1 + 0.2 | -0.0 | 5.0 // 2 | 7 // 2.0 | none + 1 | zz + 'a' | 'a' + zz | zz ~ 'a' | none ~ 'a' | zz[0] | l['a'] | l[1.5] | true + true | 'b' > 'a' and 'c' | 3 is divisibleby 0 | n|foo | n is foo | lipsum | loop | self""".split("\n"):
    for e in x.split(" | "):
        case("{{ " + e.strip() + " }}", **DATA)
for e in ("s|upper|lower", "l|length == 3", "l | join('-') | upper", "'a' if n > 3 and not e else 'b'", "(s|length + 1) * 2", "-l[0]", "l|map('string')|join", "n == 7 and s", "ms[-1].content.split('</think>')[-1].lstrip('\\n')",
          "ms[-1]['content'].split('</think>')[0].rstrip('\\n').split('<think>')[-1]", "ms[1:]|length", "ms[::-1][0].role", "ms[0].role == 'system' and ms[0].content", "messages|length", "[1,2,3,]", "{'a': 1,}"):
    case("{{ " + e + " }}", **DATA)

# Statements.
for t in ("{% for a in l %}{{ a }}{% if loop.last %}.{% else %},{% endif %}{% endfor %}", "{% for a in [] %}x{% else %}empty{% endfor %}", "{% for k, v in d.items() %}{{ k }}:{{ v }} {% endfor %}",
          "{% for a in l %}{% for b in l %}{{ loop.depth }}{{ loop.index0 }}{% endfor %}{{ loop.revindex }}{{ loop.revindex0 }}{% endfor %}", "{% set x = 1 %}{% for a in l %}{% set x = x + a %}{{ x }}{% endfor %}{{ x }}",
          "{% if z %}a{% elif n %}b{% else %}c{% endif %}", "{% for a in l %}{% if a == 2 %}{% continue %}{% endif %}{{ a }}{% endfor %}", "{% for a in l %}{% if a == 2 %}{% break %}{% endif %}{{ a }}{% endfor %}",
          "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set ns = namespace(x=1) %}{% for a in l %}{% set ns.x = ns.x * 2 %}{% endfor %}{{ ns.x }}", "{% set d.x = 1 %}", "{% for a in n %}{% endfor %}",
          "{% for a in zz %}{% endfor %}ok", "{% for a in no %}{% endfor %}", "{% for a in s %}{{ a }}.{% endfor %}", "{% for a, b in [[1, 2], [3, 4]] %}{{ a + b }} {% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
          "{% macro f(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ f(1) }} {{ f(1, 3) }} {{ f(b=4, a=0) }} {{ f() }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(x=2) }}",
          "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% set x %}a{{ n }}{% endset %}{{ x|length }}{{ x }}", "{% if n %}{% set y = 5 %}{% endif %}{{ y }}",
          "{% for a in l if a > 1 %}{{ loop.index }}{{ a }}{% endfor %}", "{% for a in l %}{{ loop.changed(a > 1) }}{% endfor %}", "{% for a in l %}{{ loop.nextitem }}{% endfor %}", "{{ raise_exception('no') }}", "{% if %}{% endif %}", "{% for a in l %}",
          "{{ 1 + }}", "{{ 'a }}", "{% endif %}", "{% foo %}", "{{ (1 }}", "{{ 1 2 }}", "{{ a..b }}", "{# x", "{{ }}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{{ s|upper() }}", "{{ s.upper }}x"[:0] + "{{ s.upper() }}",
          "{% for i in range(3) %}{{ i }}{% endfor %}", "{% for a in l %}{% set q = a %}{% endfor %}{{ q }}", "{% macro f() %}{{ n }}{{ later }}{% endmacro %}{% set later = 3 %}{{ f() }}", "{% for a in l -%} {{ a }} {%- endfor %}",
          "{% if n is defined and n %}y{% endif %}{% if zz is defined and zz.y %}y{% endif %}", "{{ 'a' if zz is defined else 'b' }}", "{% for (a, b) in d.items() %}{{ a }}{% endfor %}"):
    case(t, **DATA)

# Random expressions over the same values.
rng = random.Random(5)
ATOMS = ["s", "e", "n", "z", "f", "l", "m", "d", "t", "no", "zz", "1", "0", "-2", "2.5", "'a'", "'l'", "true", "none", "[1, 'a']", "(1, 2)", "{'a': 2}", "l[1:]", "s[::-1]", "d.a", "d.b", "ms[0].role"]


def expression(depth):
    if depth == 0:
        return rng.choice(ATOMS)
    a, b = expression(depth - 1), expression(rng.randrange(depth))
    return rng.choice([
        lambda: f"{a} {rng.choice(['+', '-', '*', '~', '==', '!=', '<', '>=', 'and', 'or', 'in', 'not in', '//', '%'])} {b}",
        lambda: f"({a} {rng.choice(['+', '~', '==', 'and', 'or', 'in', '*'])} {b})",
        lambda: f"{a} if {b} else {expression(0)}",
        lambda: f"not {a}",
        lambda: f"({a})|{rng.choice(['length', 'string', 'upper', 'list', 'first', 'last', 'trim', 'tojson', 'int', 'join', 'default(1)', 'default(1, true)', 'reverse|list'])}",
        lambda: f"({a}) is {rng.choice(['', 'not '])}{rng.choice(['defined', 'none', 'string', 'number', 'mapping', 'iterable', 'sequence', 'true', 'false', 'integer'])}",
        lambda: f"({a})[{rng.choice(['0', '-1', '1:', '::-1', ':2'])}]",
        lambda: f"[{a}, {b}]",
    ])()


for _ in range(900):
    case("{{ " + expression(rng.choice([1, 1, 2, 2, 3])) + " }}", **DATA)

# The values are the same in most cases: they are kept once.
names = {}
for c in cases:
    key = json.dumps(c["vars"], ensure_ascii=False)
    c["vars"] = names.setdefault(key, len(names))
with open("reference.json", "w", encoding="utf-8") as out:
    out.write('{"made_by": "jinja2 ' + jinja2.__version__ + '",\n"vars": [\n' + ",\n".join(names) + '\n],\n"cases": [\n')
    out.write(",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]}\n")
print(len(cases), "cases,", sum("error" in c for c in cases), "of them errors")
