"""Templates end and write what the library's own sandbox writes."""

import pytest

from cctuning.data.template_checks import render
from cctuning.data.templates import TEMPLATES
from tests.tiny import with_template

TURNS = [
    {"role": "system", "content": "Short."},
    {"role": "user", "content": "Mji mkuu?"},
    {"role": "assistant", "content": "<think>\n</think>Nairobi "},
    {"role": "user", "content": "x" * 5000},
]
# What templates of the families do, from the plain to the elaborate.
ELABORATE = """{%- set ns = namespace(last=-1, seen=[]) %}
{%- macro turn(message, open=false) %}{{ '<' ~ message.role ~ '>' }}{{ message.content | trim }}{% endmacro %}
{%- for message in messages[::-1] %}
    {%- set index = (messages | length - 1) - loop.index0 %}
    {%- if ns.last < 0 and message.role == 'user' and not message.content.startswith('<tool>') %}
        {%- set ns.last = index %}{%- break %}
    {%- endif %}
{%- endfor %}
{%- for message in messages if message.role in ['system', 'user', 'assistant'] -%}
    {%- if message.content is string and '</think>' in message.content %}
        {{- message.content.split('</think>')[-1].lstrip('\\n') }}{% generation %}g{% endgeneration %}
    {%- else %}{{ turn(message, open=loop.last) }}
    {%- endif %}
    {{- '%s of %d' | format(loop.index, messages | length) }}{{ '{}-{:>3}'.format(loop.index, ns.last) }}
    {{- message | tojson(indent=2) }}{{ [message.role, 'x' * 3] | join('/') | replace('x', 'yz') | upper }}
    {{- messages | map(attribute='role') | list | unique | join(',') }}{{ 2 ** 10 + 1000 * 1000 % 7 }}
{%- endfor %}
{%- if add_generation_prompt %}{{ bos_token }}<|assistant|>{% endif %}"""


@pytest.mark.parametrize("template", [*TEMPLATES.values(), ELABORATE])
@pytest.mark.parametrize("opened", [True, False])
def test_texts_are_those_of_the_library(template, opened):
    tokenizer = with_template(template)
    expected = tokenizer.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=opened)
    assert render(tokenizer, TURNS, open_response=opened) == expected


WITHOUT_END = {
    "macros that call themselves twice": (
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "a power": "{{ 9**9**9 }}",
    "a product of products": "{{ ('x' * 10**5) * 10**5 }}",
    "lists": "{{ ([0] * 10**5) * 10**5 }}",
    "a method": "{{ 'x'.center(10**11) }}",
    "a filter": "{{ 'x' | center(100000000000) }}",
    "a format": "{{ '%99999999999d' % 1 }}",
    "a format of a number": "{{ '%*d' % (10**10, 1) }}",
    "a format's filter": "{{ '%99999999999d' | format(1) }}",
    "a format's method": "{{ '{:{}}'.format(1, 10**10) }}",
    "joined strings": "{{ range(100000) | map('string') | join('x' * 100000) }}",
    "translated strings": "{{ ('x' * 100000).translate({120: 'y' * 100000}) }}",
    "a replacement": "{% filter replace('x', 'y' * 100000) %}" + "x" * 100000 + "{% endfilter %}",
    "a long turn": "{% for i in range(100000) %}" + "x" * 10000 + "{% endfor %}",
    "slices": "{{ 'x' | slice(1000000000) | list }}",
    **{
        f"doubled by {name}": (
            "{% set ns = namespace(s='xx') %}{% for i in range(60) %}" + step + "{% endfor %}{{ ns.s }}"
        )
        for name, step in {
            "+": "{% set ns.s = ns.s + ns.s %}",
            "~": "{% set ns.s = ns.s ~ ns.s %}",
            "replace": "{% set ns.s = ns.s | replace('x', 'xx') %}",
            "join": "{% set ns.s = [ns.s, ns.s] | join %}",
            "list": "{% set ns.s = [ns.s, ns.s] %}",
            "block": "{% set s %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = s %}",
        }.items()
    },
}


@pytest.mark.parametrize("number", range(len(WITHOUT_END)), ids=WITHOUT_END)
def test_a_template_without_end_ends(number):
    where = ["{}", "{{% if messages[0].content | length > 3 %}}{}{{% endif %}}"][number % 2]
    tokenizer = with_template(where.format([*WITHOUT_END.values()][number]))
    with pytest.raises(ValueError, match="far more than any prompt needs"):
        render(tokenizer, TURNS[:1], open_response=True)
