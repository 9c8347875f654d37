#include "textflag.h"

// Both kernels read rows of src through R8, which stops advancing at the last row, so that missing
// rows repeat it.
#define ARGUMENTS \
	MOVQ dst+0(FP), DI; \
	MOVQ step+8(FP), DX; \
	SHLQ $2, DX; \
	MOVQ src+16(FP), SI; \
	MOVQ ld+24(FP), BX; \
	SHLQ $2, BX; \
	MOVQ lanes+32(FP), CX; \
	MOVQ rows+40(FP), R12; \
	DECQ R12; \
	MOVQ blocks+48(FP), R13; \
	XORL R11, R11

#define FIRSTROW \
	MOVQ SI, R8; \
	MOVQ BX, R9; \
	MOVQ R12, R10; \
	TESTQ R10, R10; \
	CMOVQEQ R11, R9

#define NEXTROW \
	ADDQ R9, R8; \
	DECQ R10; \
	CMOVQEQ R11, R9

// func transpose16(dst *float32, step int, src *float32, ld, lanes, rows, blocks int)
#define LOAD16(z) \
	VMOVUPS (R8), z; \
	NEXTROW

// QUAD16 interleaves four rows so that each 128-bit lane holds one column of the four.
#define QUAD16(r0, r1, r2, r3, t0, t1, t2, t3) \
	VUNPCKLPS r1, r0, t0; \
	VUNPCKHPS r1, r0, t1; \
	VUNPCKLPS r3, r2, t2; \
	VUNPCKHPS r3, r2, t3; \
	VUNPCKLPD t2, t0, r0; \
	VUNPCKHPD t2, t0, r1; \
	VUNPCKLPD t3, t1, r2; \
	VUNPCKHPD t3, t1, r3

// COLUMNS16 gathers the lanes of columns c, c+4, c+8 and c+12 from the four quads.
#define COLUMNS16(q0, q1, q2, q3) \
	VSHUFF32X4 $0x88, q1, q0, Z16; \
	VSHUFF32X4 $0xdd, q1, q0, Z17; \
	VSHUFF32X4 $0x88, q3, q2, Z18; \
	VSHUFF32X4 $0xdd, q3, q2, Z19; \
	VSHUFF32X4 $0x88, Z18, Z16, q0; \
	VSHUFF32X4 $0x88, Z19, Z17, q1; \
	VSHUFF32X4 $0xdd, Z18, Z16, q2; \
	VSHUFF32X4 $0xdd, Z19, Z17, q3

#define PUT16(z) \
	VMOVUPS z, K1, (DI); \
	ADDQ DX, DI

TEXT ·transpose16(SB), NOSPLIT, $0-56
	ARGUMENTS
	MOVL $1, AX
	SHLL CX, AX
	DECL AX
	KMOVW AX, K1

loop:
	FIRSTROW
	LOAD16(Z0)
	LOAD16(Z1)
	LOAD16(Z2)
	LOAD16(Z3)
	LOAD16(Z4)
	LOAD16(Z5)
	LOAD16(Z6)
	LOAD16(Z7)
	LOAD16(Z8)
	LOAD16(Z9)
	LOAD16(Z10)
	LOAD16(Z11)
	LOAD16(Z12)
	LOAD16(Z13)
	LOAD16(Z14)
	LOAD16(Z15)
	QUAD16(Z0, Z1, Z2, Z3, Z16, Z17, Z18, Z19)
	QUAD16(Z4, Z5, Z6, Z7, Z20, Z21, Z22, Z23)
	QUAD16(Z8, Z9, Z10, Z11, Z24, Z25, Z26, Z27)
	QUAD16(Z12, Z13, Z14, Z15, Z28, Z29, Z30, Z31)
	COLUMNS16(Z0, Z4, Z8, Z12)
	COLUMNS16(Z1, Z5, Z9, Z13)
	COLUMNS16(Z2, Z6, Z10, Z14)
	COLUMNS16(Z3, Z7, Z11, Z15)
	PUT16(Z0)
	PUT16(Z1)
	PUT16(Z2)
	PUT16(Z3)
	PUT16(Z4)
	PUT16(Z5)
	PUT16(Z6)
	PUT16(Z7)
	PUT16(Z8)
	PUT16(Z9)
	PUT16(Z10)
	PUT16(Z11)
	PUT16(Z12)
	PUT16(Z13)
	PUT16(Z14)
	PUT16(Z15)
	ADDQ $64, SI
	DECQ R13
	JNZ  loop
	VZEROUPPER
	RET

// func transpose8(dst *float32, step int, src *float32, ld, lanes, rows, blocks int)
#define LOAD8(y) \
	VMOVUPS (R8), y; \
	NEXTROW

#define QUAD8(r0, r1, r2, r3) \
	VUNPCKLPS r1, r0, Y8; \
	VUNPCKHPS r1, r0, Y9; \
	VUNPCKLPS r3, r2, Y10; \
	VUNPCKHPS r3, r2, Y11; \
	VUNPCKLPD Y10, Y8, r0; \
	VUNPCKHPD Y10, Y8, r1; \
	VUNPCKLPD Y11, Y9, r2; \
	VUNPCKHPD Y11, Y9, r3

// COLUMNS8 leaves column c in q0 and column c+4 in q1.
#define COLUMNS8(q0, q1) \
	VPERM2F128 $0x20, q1, q0, Y8; \
	VPERM2F128 $0x31, q1, q0, q1; \
	VMOVAPS Y8, q0

#define PUT8(y) \
	VMOVUPS y, (DI); \
	ADDQ DX, DI

#define PUTMASKED8(y) \
	VMASKMOVPS y, Y15, (DI); \
	ADDQ DX, DI

TEXT ·transpose8(SB), NOSPLIT, $0-56
	ARGUMENTS
	LEAQ ·lanemask(SB), AX
	MOVQ $8, R8
	SUBQ CX, R8
	VMOVUPS (AX)(R8*4), Y15

loop:
	FIRSTROW
	LOAD8(Y0)
	LOAD8(Y1)
	LOAD8(Y2)
	LOAD8(Y3)
	LOAD8(Y4)
	LOAD8(Y5)
	LOAD8(Y6)
	LOAD8(Y7)
	QUAD8(Y0, Y1, Y2, Y3)
	QUAD8(Y4, Y5, Y6, Y7)
	COLUMNS8(Y0, Y4)
	COLUMNS8(Y1, Y5)
	COLUMNS8(Y2, Y6)
	COLUMNS8(Y3, Y7)
	CMPQ CX, $8
	JNE  masked
	PUT8(Y0)
	PUT8(Y1)
	PUT8(Y2)
	PUT8(Y3)
	PUT8(Y4)
	PUT8(Y5)
	PUT8(Y6)
	PUT8(Y7)
	JMP  next

masked:
	PUTMASKED8(Y0)
	PUTMASKED8(Y1)
	PUTMASKED8(Y2)
	PUTMASKED8(Y3)
	PUTMASKED8(Y4)
	PUTMASKED8(Y5)
	PUTMASKED8(Y6)
	PUTMASKED8(Y7)

next:
	ADDQ $32, SI
	DECQ R13
	JNZ  loop
	VZEROUPPER
	RET

// func copy512(dst *float32, step int, src *float32, ld, lanes, k int)
// At most 32 lanes; every store writes step of them, zero past lanes.
TEXT ·copy512(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ step+8(FP), DX
	MOVQ src+16(FP), SI
	MOVQ ld+24(FP), BX
	SHLQ $2, BX
	MOVQ lanes+32(FP), CX
	MOVQ k+40(FP), R13
	MOVQ $1, AX
	SHLQ CX, AX
	DECQ AX
	KMOVW AX, K1
	SHRQ $16, AX
	KMOVW AX, K2
	MOVQ DX, CX
	MOVQ $1, AX
	SHLQ CX, AX
	DECQ AX
	KMOVW AX, K3
	SHRQ $16, AX
	KMOVW AX, K4
	SHLQ $2, DX

copyloop:
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z 64(SI), K2, Z1
	VMOVUPS Z0, K3, (DI)
	VMOVUPS Z1, K4, 64(DI)
	ADDQ BX, SI
	ADDQ DX, DI
	DECQ R13
	JNZ  copyloop
	VZEROUPPER
	RET

// func copy16x256(dst, src *float32, ld, k int)
TEXT ·copy16x256(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ ld+16(FP), BX
	SHLQ $2, BX
	MOVQ k+24(FP), CX

copyloop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ BX, SI
	ADDQ $64, DI
	DECQ CX
	JNZ  copyloop
	VZEROUPPER
	RET

// lanemask at 4·(8−n) masks the first n of 8 lanes.
DATA ·lanemask+0(SB)/8, $-1
DATA ·lanemask+8(SB)/8, $-1
DATA ·lanemask+16(SB)/8, $-1
DATA ·lanemask+24(SB)/8, $-1
DATA ·lanemask+32(SB)/8, $0
DATA ·lanemask+40(SB)/8, $0
DATA ·lanemask+48(SB)/8, $0
DATA ·lanemask+56(SB)/8, $0
GLOBL ·lanemask(SB), RODATA|NOPTR, $64
