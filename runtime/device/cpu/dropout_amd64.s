#include "textflag.h"

DATA ·philoxcount+0(SB)/8, $0x0000000100000000
DATA ·philoxcount+8(SB)/8, $0x0000000300000002
DATA ·philoxcount+16(SB)/8, $0x0000000500000004
DATA ·philoxcount+24(SB)/8, $0x0000000700000006
GLOBL ·philoxcount(SB), RODATA|NOPTR, $32

// The multipliers and the key increments of Philox4x32, and the step of the counters.
DATA ·philoxwords+0(SB)/4, $0xD2511F53
DATA ·philoxwords+4(SB)/4, $0xCD9E8D57
DATA ·philoxwords+8(SB)/4, $0x9E3779B9
DATA ·philoxwords+12(SB)/4, $0xBB67AE85
DATA ·philoxwords+16(SB)/4, $8
GLOBL ·philoxwords(SB), RODATA|NOPTR, $20

// WIDE leaves the high and low halves of the eight 64-bit products c·m; t is spoiled.
#define WIDE(c, m, hi, lo, t) \
	VPSRLQ $32, c, t; \
	VPMULUDQ c, m, lo; \
	VPMULUDQ t, m, hi; \
	VPSRLQ $32, lo, t; \
	VPBLENDD $0xAA, hi, t, t; \
	VPSLLQ $32, hi, hi; \
	VPBLENDD $0xAA, hi, lo, lo; \
	VMOVDQA t, hi

// ROUND: c0…c3 in Y0–Y3, the key in Y4 and Y5, multipliers in Y12 and Y13.
#define ROUND \
	WIDE(Y0, Y12, Y6, Y7, Y10); \
	WIDE(Y2, Y13, Y8, Y9, Y10); \
	VPXOR Y8, Y1, Y0; \
	VPXOR Y4, Y0, Y0; \
	VMOVDQA Y9, Y1; \
	VPXOR Y6, Y3, Y2; \
	VPXOR Y5, Y2, Y2; \
	VMOVDQA Y7, Y3; \
	VPADDD Y14, Y4, Y4; \
	VPADDD Y15, Y5, Y5

// KEEP writes x·inverse where the words in y reach least (Y8), else 0; Y9 holds inverse.
#define KEEP(y, off) \
	VPMAXUD Y8, y, Y7; \
	VPCMPEQD Y7, y, Y7; \
	VMULPS off(SI), Y9, Y10; \
	VANDPS Y7, Y10, Y10; \
	VMOVUPS Y10, off(DI)

// func dropout256(dst, x *float32, groups int, counter, stream, key0, key1, least uint32, inverse float32)
// groups of 32 elements: eight counters of four words each.
TEXT ·dropout256(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ groups+16(FP), CX
	VBROADCASTSS counter+24(FP), Y11
	VPADDD ·philoxcount(SB), Y11, Y11
	VPBROADCASTD ·philoxwords+0(SB), Y12
	VPBROADCASTD ·philoxwords+4(SB), Y13
	VPBROADCASTD ·philoxwords+8(SB), Y14
	VPBROADCASTD ·philoxwords+12(SB), Y15

loop:
	VMOVDQA Y11, Y0
	VPXOR Y1, Y1, Y1
	VBROADCASTSS stream+28(FP), Y2
	VPXOR Y3, Y3, Y3
	VBROADCASTSS key0+32(FP), Y4
	VBROADCASTSS key1+36(FP), Y5
	ROUND
	ROUND
	ROUND
	ROUND
	ROUND
	ROUND
	ROUND
	ROUND
	ROUND
	ROUND
	VPUNPCKLDQ Y1, Y0, Y4
	VPUNPCKLDQ Y3, Y2, Y5
	VPUNPCKHDQ Y1, Y0, Y6
	VPUNPCKHDQ Y3, Y2, Y7
	VPUNPCKLQDQ Y5, Y4, Y0
	VPUNPCKHQDQ Y5, Y4, Y1
	VPUNPCKLQDQ Y7, Y6, Y2
	VPUNPCKHQDQ Y7, Y6, Y3
	VPERM2I128 $0x20, Y1, Y0, Y4
	VPERM2I128 $0x20, Y3, Y2, Y5
	VPERM2I128 $0x31, Y1, Y0, Y0
	VPERM2I128 $0x31, Y3, Y2, Y1
	VBROADCASTSS least+40(FP), Y8
	VBROADCASTSS inverse+44(FP), Y9
	KEEP(Y4, 0)
	KEEP(Y5, 32)
	KEEP(Y0, 64)
	KEEP(Y1, 96)
	VPBROADCASTD ·philoxwords+16(SB), Y0
	VPADDD Y0, Y11, Y11
	ADDQ $128, SI
	ADDQ $128, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET
