"""One vocabulary for the nodes of all grammars.

A role is what a node is whatever the language: ``call_expression`` in C, ``method_invocation``
in Java and ``function_call`` in Terraform are all ``call``. Nodes without a role of their own
keep the grammar's name. Detectors and rules speak of roles, so that they work across languages.
"""

import re
from functools import cache

_TEXT = """
call: call_expression call method_invocation function_call_expression member_call_expression
 nullsafe_member_call_expression scoped_call_expression function_call
 explicit_constructor_invocation exit_statement echo_statement print_intrinsic print_statement
 include_expression include_once_expression require_expression require_once_expression
 unset_statement shell_command_expression exec_statement
new: object_creation_expression new_expression composite_literal
array_new: array_creation_expression
args: argument_list arguments function_arguments
keyword: keyword_argument
func: function_definition function_declaration method_declaration method_definition
 constructor_declaration generator_function_declaration
lambda: lambda lambda_expression arrow_function function_expression anonymous_function func_literal
 generator_function
class: class_definition class_declaration class_specifier struct_specifier interface_declaration
 trait_declaration enum_declaration union_specifier enum_specifier record_declaration class
params: parameter_list parameters formal_parameters lambda_parameters inferred_parameters
body: compound_statement block statement_block body class_body declaration_list constructor_body
 field_declaration_list
if: if_statement elif_clause else_if_clause if_clause
else: else_clause
loop: for_statement while_statement do_statement for_in_statement enhanced_for_statement
 foreach_statement for_range_loop for_in_clause for_expr
switch: switch_statement switch_expression match_statement match_expression
 expression_switch_statement type_switch_statement select_statement
case: case_statement switch_case switch_default switch_label case_clause expression_case
 default_case type_case default_statement communication_case
try: try_statement try_with_resources_statement seh_try_statement
catch: catch_clause except_clause seh_except_clause
finally: finally_clause seh_finally_clause
with: with_statement synchronized_statement
throw: throw_statement raise_statement throw_expression
return: return_statement
break: break_statement
continue: continue_statement
goto: goto_statement
defer: defer_statement
spawn: go_statement
assert: assert_statement
yield: yield yield_expression yield_statement
await: await_expression await
delete: delete_expression delete_statement
pass: pass_statement empty_statement
statement: expression_statement
assign: assignment_expression assignment assignment_statement short_var_declaration
 init_declarator variable_declarator var_spec const_spec named_expression
 reference_assignment_expression static_variable_declaration property_element const_element
 public_field_definition field_definition
augment: augmented_assignment_expression augmented_assignment
declare: declaration local_variable_declaration variable_declaration lexical_declaration
 var_declaration field_declaration property_declaration
binary: binary_expression binary_operator boolean_operator comparison_operator binary_operation
unary: unary_expression unary_operator not_operator unary_op_expression unary_operation
update: update_expression inc_statement dec_statement
instanceof: instanceof_expression
ternary: conditional_expression ternary_expression conditional
index: subscript_expression array_access subscript index_expression index
slice: slice slice_expression
member: field_expression member_expression attribute field_access selector_expression
 member_access_expression nullsafe_member_access_expression scoped_property_access_expression
 class_constant_access_expression get_attr
pointer: pointer_expression
cast: cast_expression type_assertion_expression type_conversion_expression as_expression
 type_assertion static_cast_expression
sizeof: sizeof_expression
array_type: array_declarator array_type
pointer_type: pointer_declarator pointer_type abstract_pointer_declarator
string: string_literal string template_string encapsed_string interpreted_string_literal
 raw_string_literal quoted_template heredoc nowdoc double_quote_scalar
 single_quote_scalar string_scalar block_scalar json_string double_quoted_string
 single_quoted_string string_lit heredoc_template
interpolation: interpolation template_substitution template_interpolation string_interpolation
char: char_literal character_literal rune_literal
number: number_literal integer float number decimal_integer_literal hex_integer_literal
 octal_integer_literal binary_integer_literal decimal_floating_point_literal
 hex_floating_point_literal int_literal float_literal numeric_lit integer_scalar float_scalar
bool: true false boolean bool_lit boolean_scalar
null: null none nil null_literal null_lit null_scalar undefined
regex: regex
list: list array initializer_list array_initializer tuple literal_value
 element_value_array_initializer
map: dictionary object
pair: pair keyed_element array_element_initializer object_elem
spread: spread_element list_splat dictionary_splat variadic_unpacking variadic_argument
name: identifier name variable_name namespace_identifier shorthand_property_identifier
 shorthand_property_identifier_pattern package_identifier this self super dynamic_variable_name
field: field_identifier property_identifier private_property_identifier
type: type_identifier primitive_type predefined_type integral_type floating_point_type
 boolean_type void_type sized_type_specifier named_type
annotation: annotation marker_annotation decorator attribute_specifier
setting: block_mapping_pair flow_pair
item: block_sequence_item
"""
_OF_PACKAGE = {
    "hcl": {
        "attribute": "setting",
        "block": "block",
        "tuple": "list",
        "literal_value": "through",
    },
    "yaml": {"flow_sequence": "list", "flow_mapping": "map", "alias": "name", "anchor": "name"},
    "dockerfile": {"variable": "name"},
    "php": {"attribute": "annotation"},
}
_SEEN_THROUGH = """
parenthesized_expression expression template_expr collection_value flow_node block_node
plain_scalar argument expression_list statement_list type_descriptor variable_expr modifiers
type_arguments comma_expression document stream preproc_ifdef preproc_if preproc_else
attribute_group attribute_list init_statement condition_clause switch_body switch_block
literal_element concatenated_string block_mapping block_sequence for_clause shell_command
image_spec parenthesized_declarator
"""
_LEFT_OUT = """
comment line_comment block_comment html_comment string_content string_fragment escape_sequence
string_start string_end quoted_template_start quoted_template_end template_literal
interpreted_string_literal_content raw_string_literal_content raw_string_content
raw_string_delimiter heredoc_start heredoc_end nowdoc_string line_continuation php_tag
php_end_tag block_start block_end tuple_start tuple_end object_start object_end
template_interpolation_start template_interpolation_end visibility_modifier optional_chain
regex_flags regex_pattern multiline_string_fragment hash_bang_line
"""
_SIGNS = """
+ - * / % ** // @ == != === !== <> < > <= >= <=> ! ~ & | ^ && || << >> >>> and or not in is xor
?? ?: += -= *= /= %= .= **= <<= >>= >>>= &= |= ^= ??= &&= ||= := ++ -- -> ?. instanceof
"""
_WHOLE = "name field type number bool null char regex expansion"
_NO_SIGNS = ("yaml", "dockerfile")

_TEXTS = frozenset(("name", "field", "type", "string", "number"))
_DOCKER = ("_fragment", "_string", "path", "_port", "image_name", "image_tag", "param")

SKIP, THROUGH = -1, -2
"""A node that is left out with all below it, and one that is seen through."""

_NAMES: list[str] = []
_CODES: dict[str, int] = {}


def role(name: str) -> int:
    """Return the number of a role in this process; a new one where it has none."""
    code = _CODES.setdefault(name, len(_NAMES))
    if code == len(_NAMES):
        _NAMES.append(name)
    return code


def role_names() -> list[str]:
    """Return the name of each role's number."""
    return _NAMES


_OPERATORS = frozenset((*_SIGNS.split(), "not in", "is not"))
OPERATORS = frozenset(role(f"op {o}") for o in sorted(_OPERATORS))
"""Roles of operators, each of which is one of its own."""

CLOSED = OPERATORS | frozenset(map(role, _WHOLE.split()))
"""Roles whose nodes are taken whole."""


def role_of(kind: str, is_named: bool, package: str) -> int:
    """Return the role of a grammar's kind of node, or ``SKIP`` or ``THROUGH``.

    Args:
        kind: as the grammar calls it.
        is_named: False for a sign or a keyword.
        package: the grammar's.
    """
    if not is_named:
        known = kind in _OPERATORS and package not in _NO_SIGNS
        return role(f"op {kind}") if known else SKIP
    name = _OF_PACKAGE.get(package, {}).get(kind) or _usual().get(kind, kind)
    return {"through": THROUGH, "out": SKIP}.get(name) or role(name)


def is_text(name: str) -> bool:
    """Return whether nodes of a role are told by what stands in the code."""
    return name in _TEXTS or name.endswith(_DOCKER)


@cache
def _usual() -> dict[str, str]:
    table = dict.fromkeys(_SEEN_THROUGH.split(), "through")
    table |= dict.fromkeys(_LEFT_OUT.split(), "out")
    for name, kinds in re.findall(r"^(\w+):((?:.|\n )*)", _TEXT.strip(), re.MULTILINE):
        table |= dict.fromkeys(kinds.split(), name)
    return table
