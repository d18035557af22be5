/* A machine of bytecode: constants, a stack, locals, jumps and calls, limited in steps.
   CWE-129, seen as heap-buffer-overflow. A local is written by a number from the stack after a
   check that holds only for functions without arguments. Echoes verifier gaps of small machines. */
#include "planted.h"

enum { STACK = 32, LOCALS = 16, CALLS = 8, MOST_STEPS = 2000 };
enum { HALT, PUSH, PUSH2, POP, DUP, SWAP, ADD, SUB, MUL, LESS, JUMP, JUMPZ, CALL, RET, LOAD, STORE, STOREX, OUT };

struct machine {
    const uint8_t *code;
    size_t n, at;
    uint32_t stack[STACK];
    int top;
    uint32_t *locals;
    struct { size_t at; uint8_t arguments; } calls[CALLS];
    int depth;
    uint32_t out;
};

static int need(struct machine *m, int pops, int pushes, size_t bytes) {
    return m->top >= pops && m->top - pops + pushes <= STACK && m->n - m->at >= bytes;
}

static uint32_t pop(struct machine *m) { return m->stack[--m->top]; }
static void push(struct machine *m, uint32_t value) { m->stack[m->top++] = value; }

static int arithmetic(struct machine *m, uint8_t op) {
    if (!need(m, 2, 1, 0)) return -1;
    uint32_t b = pop(m), a = pop(m);
    push(m, op == ADD ? a + b : op == SUB ? a - b : op == MUL ? a * b : a < b);
    return 0;
}

static int flow(struct machine *m, uint8_t op) {
    if (op == RET) {
        if (m->depth == 0) return -1;
        m->at = m->calls[--m->depth].at;
        return 0;
    }
    if (!need(m, op == JUMPZ, 0, op == CALL ? 2 : 1)) return -1;
    size_t to = m->code[m->at++];
    if (op == CALL) {
        if (m->depth == CALLS) return -1;
        m->calls[m->depth].arguments = m->code[m->at++];
        m->calls[m->depth++].at = m->at;
    }
    if (op == JUMPZ && pop(m) != 0) return 0;
    if (to >= m->n) return -1;
    m->at = to;
    return 0;
}

static int local(struct machine *m, uint8_t op) {
    if (op == STOREX) {
        if (!need(m, 2, 0, 0)) return -1;
        uint32_t value = pop(m), i = pop(m);
        uint8_t arguments = m->depth > 0 ? m->calls[m->depth - 1].arguments : 0;
        if (arguments == 0 && i >= LOCALS) return -1;
        if (i >= LOCALS + 4u) return -1;
        FLAW(1, i >= LOCALS, return -1);
        m->locals[i] = value;
        SHOW(m->locals[i]);
        return 0;
    }
    if (!need(m, op == STORE, op == LOAD, 1)) return -1;
    uint8_t i = m->code[m->at++];
    if (i >= LOCALS) return -1;
    if (op == LOAD) push(m, m->locals[i]);
    else m->locals[i] = pop(m);
    return 0;
}

static int step(struct machine *m) {
    uint8_t op = m->code[m->at++];
    switch (op) {
    case PUSH:
        if (!need(m, 0, 1, 1)) return -1;
        push(m, m->code[m->at++]);
        return 0;
    case PUSH2:
        if (!need(m, 0, 1, 2)) return -1;
        push(m, (uint32_t)(m->code[m->at] << 8 | m->code[m->at + 1]));
        m->at += 2;
        return 0;
    case POP: return need(m, 1, 0, 0) ? (pop(m), 0) : -1;
    case DUP: return need(m, 1, 2, 0) ? (push(m, m->stack[m->top - 1]), 0) : -1;
    case SWAP: {
        if (!need(m, 2, 2, 0)) return -1;
        uint32_t b = pop(m), a = pop(m);
        push(m, b);
        push(m, a);
        return 0;
    }
    case ADD: case SUB: case MUL: case LESS: return arithmetic(m, op);
    case JUMP: case JUMPZ: case CALL: case RET: return flow(m, op);
    case LOAD: case STORE: case STOREX: return local(m, op);
    case OUT: return need(m, 1, 0, 0) ? (m->out ^= pop(m), 0) : -1;
    default: return -1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct machine m = {0};
    start();
    if (size < 3 || data[0] != 0xb7 || data[1] != 1) return 0;
    m.code = data + 2;
    m.n = size - 2;
    m.locals = take(LOCALS * sizeof *m.locals);
    if (m.locals == NULL) return 0;
    memset(m.locals, 0, LOCALS * sizeof *m.locals);
    for (int i = 0; i < MOST_STEPS && m.at < m.n; i++)
        if (step(&m)) break;
    SHOW(m.out);
    return 0;
}
