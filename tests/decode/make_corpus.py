#!/usr/bin/env python3
"""Prints the records of data/corpus.jsonl, without Spark's answers; the same ones every time.

    tests/decode/make_corpus.py | tools/spark-oracle --brief - tests/decode/data/corpus.jsonl
    tests/decode/make_corpus.py --random SEED COUNT | tools/spark-oracle      more of the last kind

Each part of the corpus is a function below that yields values: bytes, None for a tombstone, or a list
of (bytes, times) for what is too long to store.
"""

import base64
import itertools
import json
import random
import sys

CLICK = b'"action":"click"'
USER = b'"user_id":7'
TAIL = b',' + CLICK + b',' + USER + b'}'
HEAD = b'{' + CLICK + b',' + USER

# What may stand for a value; most of it is odd or broken.
VALUES = [
    *b'0 -0 1 -1 7 42 2147483647 2147483648 -2147483648 -2147483649 9999999999 10000000000 '
    b'4294967303 9223372036854775807 9223372036854775808 -9223372036854775809 '
    b'18446744073709551615 18446744073709551616 123456789012345678901234567890 '
    b'1.0 7.0 0.5 -0.5 -0.0 1e2 1E2 1e+2 1E-2 0e0 0.0e0 0E+1 1e400 -1e400 1e-400 1.5e3 '
    b'00 01 -01 007 +1 +0 .5 -.5 5. 5.e1 1.e 1e 1e+ 1e- 1ee1 1e1.5 1.1.1 -- - + . e 0x10 0b1 1_000 '
    b'1L 1f 1d 5a 5\xc3\xa9 5_ 0.x 1.x 0ex 1ex 1e+x 1.5ex 0.5ex '
    b'NaN nan NAN Na NaNN NaN5 NaN_ NaN} -NaN +NaN Infinity -Infinity +Infinity INF -INF +INF '
    b'inf -inf Inf +Inf I +I -I -IN +IN -INFI -INFx +INF7 -Infinit -Infinityx +InfinityX Infinit '
    b'-IX +IX -Ix '
    b'true false null tru True TRUE nulll nul nULL truefalse true1 null_ null$ null: null; null~ '
    b'null\xc3\xa9 null\xe2\x82\xac null\xe2\x98\x85 true\xcc\x81 false\xf0\x9f\x98\x80 true@ true^ '
    b'abc abc-def \xc3\xa9\xc3\xbc \xe2\x98\x85 $ _ @ # % ` ~ \\ / // /**/ #x ( ) < > ? ! * & | = '
    b'undefined None $x _x'.split(b' '),
    b'"click"', b"'click'", b'"Click"', b'"clic"', b'"clicks"', b'""', b"''", b'"7"', b"'7'", b'" 7"',
    b'"view"', b"'view'", b'"null"', b'"true"', b'"NaN"', b'"Infinity"', b'"7.0"', b'"2147483648"',
    br'"\u0063lick"', br'"cl\u0069ck"', br'"clic\u006B"', br"'clic\u006b'", br'"\u0063\u006c\u0069\u0063\u006b"',
    br'"cl\ick"', br'"click\\"', br'"click\""', br'"click\u0000"', br'"click\n"', br'"\b\f\n\r\t\/\\\""',
    br'"\'"', br"'\''", br"'\"'", br'"\a"', br'"\0"', br'"\x41"', br'"\U0041"', br'"\u"', br'"\u1"',
    br'"\u12"', br'"\u123"', br'"\u12g4"', br'"\uD83D\uDE00"', br'"\uD83D"', br'"\uDE00"',
    br'"\uDE00\uD83D"', br'"\uD83Dx"', br'"\uD83D\n"', br'"\uD83D\uD83D\uDE00"', br'"\uFFFF"',
    br'"\uFEFF"', br'"click\uD800"', b'"\\u00\xc5\x81\xc5\x82"', b'"\\u006\xc5\xa2lick"', b'"clic\\u006\xc5\x82"',
    b'"\\u006\xc5\xa9"', b'"\\u00\xc4\xb661"', b'"\\\xc3\xa9"', b'"\\', b'"\\"', b"'\\'", b'"', b"'", b'"abc', b"'abc",
    b'"tab\there"', b'"nl\nhere"', b'"cr\rhere"', b'"nul\x00here"', b'"bell\x07"', b'"us\x1f"', b'"del\x7f"',
    b"'tab\there'", b"'it\"s'", b'"it\'s"', b"'click\"", b'"click\'',
    b'"\xff"', b'"\xc3"', b'"\xc3\xa9"', b'"\xe2\x82"', b'"\xe2\x82\xac"', b'"\xf0\x9f\x98"', b'"\xf0\x9f\x98\x80"',
    b'"\xc0\x80"', b'"\xc1\xbf"', b'"\xe0\x80\x80"', b'"\xe0\x9f\xbf"', b'"\xed\xa0\x80"', b'"\xed\xa0\xbd\xed\xb8\x80"',
    b'"\xf0\x80\x80\x80"', b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\xf8\x88\x80\x80\x80"', b'"\x80"', b'"\xbf\xbf"',
    b'"\xfe"', b'"click\xff"', b'"\xffclick"', b'"cli\xc3ck"', b'"\xe2\x82"click"', b'"\xf0\x9f"x', b'\xff', b'\xc3\xa9',
    b'{}', b'[]', b'{"a":1}', b'[1]', b'[1,2]', b'[[]]', b'{"a":{}}', b'["click"]', b'{"action":"click"}',
    b'[{"action":"click","user_id":9}]', b'{"user_id":9}', b'[,]', b'[1,]', b'[,1]', b'[1,,2]', b'{,}', b'{"a":1,}',
    b'{"a"}', b'{"a":}', b'{"a":]', b'{"a" 1}', b'{"a"::1}', b'{a:1}', b"{'a':1}", b'{1:1}', b'{null:1}', b'{"a":1 "b":2}',
    b'[1 2]', b'[1}', b'{"a":1]', b'[', b'{', b']', b'}', b'[[', b'{"a":{', b'{"a":[}', b'[{]', b'{"a":1', b'[1', b'["a', b'[1,',
    b'[NaN,-INF,+INF,Infinity,-Infinity,+Infinity]', b'[nul]', b'[nan]', b'[+1]', b'[01]', b'[1.]', b'[1.x]', b'[0.x]',
    b'[\'a\',"b"]', br'["\uD800"]', br'{"\uD800":1}', br'["\x"]', b'[\x00]', b'[\x0b1]', b'[/]', b'[//\n1]', b'[#]',
    b'{"a":"\\x"}', b'{"a\\x":1}', b'{"a\n":1}', b'{"a\xff":"\xff"}', b'{"":""}', b"{'':''}", b'[1e999,-1e999]',
    b'', b' ', b',', b':', b'::', b',,', b'\x00', b'\x0b', b'\x0c', b'\xc2\xa0', b'\xe2\x80\x83', b'\xef\xbb\xbf', b'\xe2\x80\xa8',
]


def positions():
    """Every odd value as the action, as the user, as some other field and inside of an array."""
    for v in VALUES:
        yield b'{"action":' + v + b',' + USER + b'}'
        yield b'{' + CLICK + b',"user_id":' + v + b'}'
        yield b'{"x":' + v + TAIL
        yield v


def read_on():
    """An error inside of a column's own value, and what could still be read behind it."""
    ends = [b',"action":"click"}', b',"action":"click","user_id":9}', b'"},"action":"click"}', b']}', b'],"action":"click"}',
            b'},"action":"click"}', b'"', b'"]}', b',1],"action":"click"}', b',"user_id":9}', b'}', b',"x":1}']
    broken = [v for v in VALUES if v][::2] + [
        b'"\\x', b'"\\x,"action":"click"}', b'"\\u12g', b'"a\n', b'"a\x00', b'[1.', b'[1.x', b'[0.x', b'[1e+', b'[0e+', b'[1.5e+',
        b'[0.5e+', b'[+', b'[+x', b'[-', b'[-x', b'[-.', b'[.', b'[nulx', b'[abc', b'[\xc3\xa9\xc3\xbc\xe2\x98\x85', b'[\xe2\x98\x85\xc3\xa9',
        b'[/', b'[#', b'[\x00', b'[\x0b', b'[,', b'[1,', b'{', b'{"a', b'{"a"', b'{"a":', b'{"a":x', b'{"a":1,', b'{"a":1,b', b'{x',
        b'{"a"x', b'{"a":[x', b'["\\x', b'["\\x"', b"['\\x", b"['\\x'", b'{"\\x":1', b'{"a":"\\x', b'[[x', b'[[[x', b'[{"a":x', b'[01',
        b'[-01', b'[1}', b'{"a":1]', b'["\xff\\x', b'["\\u00\xe2\x98\x85', b'{"action":x', b'{"action":"\\x', b'{"action":"click",x',
        b'[{"action":"\\x', b'{"a":nul,"action":"click"', b'["\\x","action":"click"', b'[null\xc3\xa9', b'[null\xe2\x98\x85', b'[NaNx',
        b'[+INFx', b'[-Inx', b'[IX', b'[' + b'x' * 254, b'[' + b'x' * 255, b'[' + b'x' * 256, b'[' + b'x' * 257, b'[nul' + b'y' * 252,
        b'[nul' + b'y' * 253, b'[nul' + b'y' * 254, b'["\x01', b'["a\tb', b'["a\tb"']
    rng = random.Random(1)
    for column, value in itertools.product([b'action', b'user_id'], broken):
        for end in rng.sample(ends, 4):
            for before in (b'{', b'{"action":"click",', b'{"action":"click","user_id":3,'):
                if rng.random() < 0.5:
                    yield before + b'"' + column + b'":' + value + end


def words():
    """How far an unknown word goes on for Jackson's message about it, which is where reading goes on."""
    for size in range(250, 262):
        for word in (b'x' * size, b'nul' + b'y' * (size - 3), b'null' + b'y' * (size - 4), b'+Inf' + b'z' * (size - 4), b'-IN' + b'z' * (size - 3)):
            yield b'{' + CLICK + b',"action":[' + word + b']}'
            yield b'{' + CLICK + b',"action":[' + word + b',1],' + USER + b'}'
    for character in '\u00e9\u20ac\u2605\u0301\u200d\ufeff\u00a0\u4e00\U0001f600\u0660\u2160\u203f\x7f\x80\x08\x0e\u2028':
        c = character.encode()
        for word in (c, b'x' + c, c + c, b'x' + c + b'x', b'null' + c, b'NaN' + c, b'-INF' + c, b'nu' + c, b'1' + c, b'1.' + c, b'0' + c, b'0.' + c):
            yield b'{' + CLICK + b',"action":[' + word + b']}'
            yield b'{' + CLICK + b',"action":[1,' + word + b',2]}'
            yield b'{' + CLICK + b',"x":' + word + b'}'


def names():
    for name in [b'"action"', b"'action'", b'action', b'"Action"', b'"ACTION"', b'"action "', b'" action"', b'"actio"', b'"actions"',
                 b'"\\u0061ction"', b"'\\u0061ction'", b'"actio\\u006e"', b'"act\\u00\xe2\x98\x85on"', b'"acti\\x"', b'"act\xc3\xafon"', b'"action\\u0000"',
                 b'"\xffaction"', b'"act\tion"', b'"act\x00ion"', b'""', b"''", b'"action', b"'action", b'"action\'', b"'action\"", b'1', b'null',
                 b'true', b'$action', b'"data.action"', b'"acti\\u006Fn"', b'"\\u0061\\u0063\\u0074\\u0069\\u006f\\u006e"', b'"actio\xce\xb7"',
                 b"'act\\'ion'", b'"act\\"ion"', b'#', b'/', b'{', b'[', b'}', b']', b',', b':', b'', b'\xef\xbb\xbf"action"', b'NaN', b'-1']:
        for colon in (b':', b' : ', b'\t:\r\n'):
            yield b'{' + name + colon + b'"click",' + USER + b'}'
        yield b'{' + USER + b',' + name + b':"click"}'
        yield b'{' + CLICK + b',' + USER + b',"x":{' + name + b':1}}'
    for colon in [b'', b'::', b'=', b'=>', b' ', b',', b';', b':/', b':#', b'/:', b'#:', b'\x00:', b':\x00', b'\x0b:', b':\x0c', b'\xc2\xa0:', b':\n\n ', b'\n:',
                  b'    :    ', b':\xef\xbb\xbf', b'\x1f:', b'"']:
        yield b'{"action"' + colon + b'"click",' + USER + b'}'
        yield b'{' + CLICK + b',"x"' + colon + b'1,' + USER + b'}'
    for name in [b'"user_id"', b"'user_id'", b'"User_Id"', b'"userId"', b'"user_i\\u0064"', b'"user\\u005fid"', b'"user_id\\u0000"', b'user_id']:
        yield b'{' + CLICK + b',' + name + b':5}'


def duplicates():
    actions = [b'"click"', b'"view"', b'null', b'1', b'{}', b'["click"]', b'"\\x"', b'[nul]', b'"\xff"', b"'click'", b'NaN', b'{"a":"\\x"}']
    for a, b in itertools.product(actions, repeat=2):
        yield b'{"action":' + a + b',"action":' + b + b',' + USER + b'}'
    users = [b'5', b'6', b'null', b'"6"', b'6.0', b'2147483648', b'true', b'{}', b'[6]', b'"\\x"', b'[nul]', b'""', b'NaN', b"'6'"]
    for a, b in itertools.product(users, repeat=2):
        yield b'{' + CLICK + b',"user_id":' + a + b',"user_id":' + b + b'}'
    for a, b in itertools.product(users, actions):
        yield b'{"user_id":' + a + b',"action":' + b + b',"user_id":8,"action":"click"}'
    for a, b, c in itertools.product(users[::3], repeat=3):
        yield b'{"user_id":' + a + b',"user_id":' + b + b',' + CLICK + b',"user_id":' + c + b'}'


def around():
    """What stands before, between and behind; encodings; cuts."""
    whole = HEAD + b',"x":[1,{"y":"z"}]}'
    for byte in range(256):
        b = bytes([byte])
        yield b + whole
        yield whole + b
        yield b'{' + b + CLICK + b',' + USER + b'}'
        yield HEAD + b + b'}'
        yield b'{' + CLICK + b',' + b + USER + b'}'
        yield b'{' + CLICK + b',"user_id":7' + b + b',"x":1}'
        yield b'{' + CLICK + b',"user_id":' + b + b'7}'
        yield b'{' + CLICK + b',"x":"' + b + b'",' + USER + b'}'
        yield b'{"action":"\\' + b + b'",' + USER + b'}'
        yield b'{"action":"click' + b + b'",' + USER + b'}'
    for size in range(len(whole)):
        yield whole[:size]
    for junk in [b'x', b'{}', b'}', b']', b',', b'\x00', b'\xff', b'{"action":"view"}', b'"', b' \n\t\r', b'\n' + whole, b'/*', b'#', b'[', b'NaN']:
        yield whole + junk
        yield whole + b' ' + junk
        yield junk + whole
    text = whole.decode()
    for encoding in ('utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'utf-32-le', 'utf-32-be', 'utf-8-sig', 'utf-7', 'cp037', 'cp500'):
        yield text.encode(encoding)
    for bom in (b'\xef\xbb\xbf', b'\xfe\xff', b'\xff\xfe', b'\xff\xfe\x00\x00', b'\x00\x00\xfe\xff', b'\xef\xbb', b'\xef', b'\xc3\xaf\xc2\xbb\xc2\xbf'):
        yield bom + whole
        yield whole + bom
        yield bom
        yield b' ' + bom + whole
    yield None
    for blank in (b'', b' ', b'\t', b'\n', b'\r', b' \t\r\n', b'\x00', b'\x0b', b'\x0c', b'\x1f', b'\xc2\xa0', b'\xe2\x80\x83', b'\xe3\x80\x80', b'\xff', b'\xc3'):
        yield blank
        yield blank * 3
    for root in (b'[' + whole + b']', b'[' + whole + b',' + whole + b']', b'[[' + whole + b']]', b'"' + whole + b'"', b'[' + whole, b'[]', b'[{}]', b'1 ' + whole,
                 b'1' + whole, b'null' + whole, b'null ' + whole, b'"a"' + whole, b'[]' + whole, b'{}' + whole, b'true,' + whole, b'NaN' + whole):
        yield root


def limits():
    """Nesting, digits and lengths around Jackson's limits; chunks of 4,000 characters; huge records."""
    for depth in (997, 998, 999, 1000, 1001, 1002):
        for opening, closing in ((b'[', b']'), (b'{"a":', b'}')):
            last = b'1' if opening == b'{"a":' else b''
            for before, after in ((b'{"x":', TAIL), (b'{' + CLICK + b',"x":', b',' + USER + b'}'), (b'{"action":', b',' + CLICK + b'}'),
                                  (b'{' + CLICK + b',"action":', b'}'), (b'{' + CLICK + b',"user_id":', b'}'), (b'', b'')):
                yield [(before, 1), (opening, depth), (last, 1), (closing, depth), (after, 1)]
            yield [(b'{' + CLICK + b',"action":', 1), (opening, depth)]
            yield [(b'{' + CLICK + b',"action":', 1), (b'[', depth - 1), (b'1,{"action":{', 1)]
            yield [(b'{' + CLICK + b',"action":', 1), (b'[', depth), (b'1],"action":"click"}', 1)]
    for digits in (998, 999, 1000, 1001, 1002):
        for parts in ([(b'1', digits)], [(b'-', 1), (b'1', digits)], [(b'1.', 1), (b'1', digits)], [(b'0.', 1), (b'1', digits)], [(b'-0.', 1), (b'1', digits)],
                      [(b'1e', 1), (b'1', digits)], [(b'0e-', 1), (b'1', digits)], [(b'1.', 1), (b'1', digits // 2), (b'e+', 1), (b'1', digits - digits // 2)],
                      [(b'0.', 1), (b'1', digits // 2), (b'e', 1), (b'1', digits - digits // 2)], [(b'1', digits), (b'.5', 1)], [(b'1', digits), (b'e5', 1)]):
            yield [(b'{"x":', 1), *parts, (TAIL, 1)]
            yield [(b'{' + CLICK + b',"user_id":', 1), *parts, (b'}', 1)]
            yield [(b'{' + CLICK + b',"action":{"x":', 1), *parts, (b',"y":1},"user_id":9}', 1)]
    for total in range(3975, 4006):  # what stands where the first chunk ends
        pad = total - len(b'{"p":"",')
        for rest in (b'"user_id":1234567,"action":"click"}', b'"user_id":-1234567.x,"action":"click"}', b'"action":"cl\\u0069ck","user_id":8}',
                     b'"action":[1234567.x,"action":"click"}', b'"action":[-12.5e+x],"action":"click"}', b"'action':'click',\"user_id\":-0}",
                     b'"action":"click","user_id":\xf0\x9f\x98\x80}', b'"action":"\xf0\x9f\x98\x80\xf0\x9f\x98\x80","action":"click"}',
                     b'"x":nullx,"action":"click"}', b'"action":[nul\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9,1],"action":"click"}', b'"x":-Infinity,"action":"click","user_id":0}'):
            yield [(b'{"p":"', 1), (b'a', pad), (b'",' + rest, 1)]
    for total in (2998, 2999, 3000, 3001):
        for number in ((b'1.', 1), (b'1', 1), (b'1e', 1)):
            yield [(b'{"p":"', 1), (b'a', total - 8), (b'","x":', 1), number, (b'1', 1000), (b',"action":"click","user_id":5}', 1)]
            yield [(b'{"p":"', 1), (b'a', total - 9), (b'","x":', 1), number, (b'1', 999), (b',"action":"click","user_id":5}', 1)]
    for total in (3998, 3999, 4000, 4001, 7999, 8000, 8191, 8192, 8193, 12000):
        for unit in (b'\xf0\x9f\x98\x80', b'\xe2\x82\xac', b'\xff', b'\xe2\x82', b'\\u0041', b'\xed\xa0\x80'):
            yield [(b'{"p":"', 1), (unit, total), (b'","action":"click","user_id":6}', 1)]
            yield [(b'{"p":"a', 1), (unit, total // 2), (b'","action":"click","user_id":2147483648}', 1)]
    huge = 20_000_000
    for length in (huge - 1, huge, huge + 1, huge + 65_536, huge + 100_000):
        for before, after in ((b'{' + CLICK + b',"action":"', b'"}'), (b'{"action":"', b'",' + USER + b',"action":"click"}'), (b'{"page_url":"', b'"' + TAIL),
                              (b"{'page_url':'", b"'" + TAIL), (b'{"user_id":"', b'","user_id":3,' + CLICK + b'}'), (b'{"', b'":1' + TAIL),
                              (b'{' + CLICK + b',"action":["', b'"],"user_id":4}'), (b"{'action':'", b"',\"action\":\"click\"}")):
            if length in (huge, huge + 1, huge + 100_000) or before.startswith(b'{"action'):
                yield [(before, 1), (b'a', length), (after, 1)]
    yield [(b'{"action":"', 1), (b'\xc3\xa9', huge), (b'","user_id":1,"action":"click"}', 1)]
    yield [(b'{"action":"', 1), (b'\xf0\x9f\x98\x80', huge // 2 + 1), (b'","user_id":1,"action":"click"}', 1)]
    yield [(b'{"action":"', 1), (b'a', huge + 100_000), (b'","action":"click', 2000), (b'","user_id":1}', 1)]
    yield [(b'{"x":[', 1), (b'1,', 2_000_000), (b'1],"user_id":2,"action":"click"}', 1)]
    yield [(b' ', 3_000_000), (b'{"user_id":2,"action":"click"}', 1)]
    yield [(b'{"action":"click","user_id":', 1), (b'9', 1_000_000), (b'}', 1)]


class Random:
    """Documents that are broken where it matters, and cuts and swaps of them."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def value(self, depth):
        r = self.rng.random()
        if depth and r < 0.2:
            return b'[' + b','.join(self.value(depth - 1) for _ in range(self.rng.randrange(4))) + b']'
        if depth and r < 0.4:
            return self.object(depth - 1)
        if r < 0.7:
            return self.rng.choice([b'"click"', b'"view"', b'7', b'8', b'null', b'true', b"'click'", b'"a\\"b"', b'1.5', b'"\\u00e9"', b'"\xff"'])
        return self.rng.choice(VALUES)

    def object(self, depth):
        names = [b'"action"', b'"user_id"', b'"action"', b'"user_id"', b'"x"', b"'action'", b"'user_id'", b'"page_url"']
        fields = [self.rng.choice(names) + b':' + (b'"click"' if self.rng.random() < 0.2 else self.value(depth))
                  for _ in range(self.rng.randrange(1, 6))]
        return b'{' + b','.join(fields) + b'}'

    def damage(self, text):
        for _ in range(self.rng.randrange(1, 3)):
            if not text:
                break
            at, to = self.rng.randrange(len(text)), self.rng.randrange(len(text))
            piece = self.rng.choice([b'"', b"'", b'\\', b',', b':', b'{', b'}', b'[', b']', b'\\x', b'1.', b'e', b'/', b'\x00', b'\xff', b'x', b'\xc3\xa9', b'-', b'0', b' '])
            text = self.rng.choice([text[:at] + piece + text[at:], text[:at] + piece + text[at + 1:], text[:at] + text[at + 1:], text[:at],
                                    text[:at] + text[min(at, to):max(at, to)] + text[at:]])
        return text

    def values(self, count):
        for _ in range(count):
            text = self.object(3)
            if self.rng.random() > 0.3:
                text = self.damage(text)
            if text[:1] == b"{" and self.rng.random() < 0.1:  # a chunk's end somewhere inside
                pad = 4000 - self.rng.randrange(len(text) + 10)
                yield [(b'{"p":"', 1), (b'a', pad), (b'",' + text[1:], 1)]
            else:
                yield text


def corpus():
    yield from itertools.chain(positions(), read_on(), words(), names(), duplicates(), around(), limits(), Random(20251214).values(2500))


def line_of(value):
    if value is None:
        return {"value": None}
    if isinstance(value, bytes):
        return {"value": base64.b64encode(value).decode()}
    return {"repeat": [[base64.b64encode(piece).decode(), times] for piece, times in value if piece and times]}


def main():
    values = corpus()
    if sys.argv[1:2] == ["--random"]:
        values = Random(int(sys.argv[2])).values(int(sys.argv[3]))
    seen = set()
    for value in values:
        text = json.dumps(line_of(value), separators=(",", ":"))
        if text not in seen:
            seen.add(text)
            print(text)


if __name__ == "__main__":
    main()
