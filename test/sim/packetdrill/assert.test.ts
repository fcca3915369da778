import { expect, test } from "bun:test"
import { type Environment, run } from "../../../src/sim/packetdrill/assert/evaluate.ts"
import { parseCode } from "../../../src/sim/packetdrill/assert/syntax.ts"

const VALUES: Readonly<Record<string, number>> = {
  tcpi_state: 1,
  tcpi_snd_cwnd: 10,
  tcpi_unacked: 3,
  tcpi_options: 7,
  tcpi_bytes_acked: 2 ** 33 + 1,
  TCP_ESTABLISHED: 1,
  TCPI_OPT_SACK: 2,
}

const at = { line: 1, column: 1 }
const holds = (code: string, environment: Environment = new Map()) =>
  run(parseCode(code, at), environment, (name) => VALUES[name]) === undefined

test.each([
  ["assert tcpi_snd_cwnd == 10", true],
  ["assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd", true],
  ["assert tcpi_snd_cwnd != 10", false],
  ["assert 5 < tcpi_snd_cwnd <= 10", true],
  ["assert 5 < tcpi_snd_cwnd < 10", false],
  ["assert tcpi_state == TCP_ESTABLISHED and tcpi_unacked == 3", true],
  ["assert tcpi_state == 2 or tcpi_unacked == 4", false],
  ["assert not tcpi_state == 2", true],
  ["assert (tcpi_options & TCPI_OPT_SACK) != 0, tcpi_options", true],
  ["assert tcpi_options & 8", false],
  ["assert tcpi_bytes_acked & 1 == 1", true],
  ["assert tcpi_snd_cwnd * 2 + 1 == 21", true],
  ["assert tcpi_snd_cwnd // 3 == 3 and tcpi_snd_cwnd % 3 == 1", true],
  ["assert 7 / 2 == 3.5", true],
  ["assert -7 // 2 == -4 and -7 % 3 == 2", true],
  ["assert 2 ** 10 == 1 << 10", true],
  ["assert ~0 == -1", true],
  ["assert abs(tcpi_unacked - 5) <= 2", true],
  ["assert min(3, 2) == 2 and max([1, 4]) == 4 and len((1, 2)) == 2", true],
  ["assert tcpi_unacked in (1, 2, 3)", true],
  ["assert tcpi_unacked not in [1, 2, 3]", false],
  ["assert 0x10 == 16 and 1e3 == 1000", true],
  ["assert 3 if tcpi_state == 1 else 0", true],
  ["assert True and not False and None is None", true],
  ["x = tcpi_unacked; x += 1; assert x == 4", true],
  ["assert (tcpi_unacked ==\n  3)", true],
  ["# nothing\n\nassert 1", true],
  ["print tcpi_state, 'x'\nprint(tcpi_state)\nassert 1", true],
  ["if tcpi_state == 2:\n  assert 0\nelif tcpi_state == 1:\n  assert 1\nelse:\n  assert 0", true],
  ["if tcpi_state == 1:\n  assert 1\n  assert 0\nassert 1", false],
  ["if tcpi_state == 2: assert 0", true],
  ["assert 0, 'cwnd %d' % tcpi_snd_cwnd", false],
])("%j", (code, expected) => {
  expect(holds(code)).toBe(expected)
})

test("names are kept from one block to the next", () => {
  const environment: Environment = new Map()
  holds("before = tcpi_unacked", environment)
  expect(holds("assert before == 3", environment)).toBe(true)
})

test("a failure shows what was asserted, and the values", () => {
  const failure = run(parseCode("\n  assert tcpi_snd_cwnd == 11, 'too few'", at), new Map(), (name) => VALUES[name])
  expect(failure).toEqual({
    at: { line: 2, column: 3 },
    text: "tcpi_snd_cwnd == 11",
    detail: "too few; tcpi_snd_cwnd = 10",
  })
})

test.each(["import os", "assert tcpi_unknown == 1", "assert os.path", "assert foo(1)", "for x in y: pass"])(
  "%j is unsupported",
  (code) => {
    expect(() => holds(code)).toThrow(expect.objectContaining({ kind: "unsupported" }))
  },
)

test.each(["assert", "assert (1", "assert 1 +", "x ==", "1 = 2", "if 1:\nassert 1", "assert $"])(
  "%j is no code",
  (code) => {
    expect(() => holds(code)).toThrow(expect.objectContaining({ kind: "syntax" }))
  },
)
