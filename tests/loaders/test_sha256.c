/* SHA-256. */
#include "../../loaders/sha256.h"

#include <criterion/criterion.h>
#include <string.h>

/* Broken: a report names its files by hashes that sha256sum does not give.  The first three are the standard's examples, the
 * others are sha256sum's, at the lengths where padding takes a block more. */
Test(sha256, examples)
{
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char              a[200];
    memset(a, 'a', sizeof a);
    cr_expect_str_eq(vr_sha256("abc", 3).text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_expect_str_eq(vr_sha256("", 0).text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    cr_expect_str_eq(vr_sha256(two_blocks, 56).text, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    cr_expect_str_eq(vr_sha256(a, 55).text, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    cr_expect_str_eq(vr_sha256(a, 64).text, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
    cr_expect_str_eq(vr_sha256(a, 200).text, "c2a908d98f5df987ade41b5fce213067efbcc21ef2240212a41e54b5e7c28ae5");
}
