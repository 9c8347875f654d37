#include "textflag.h"

// exp(x) = 2ⁿ·exp(r) with n = round(x/ln 2) and |r| ≤ ln(2)/2, where the Taylor series to r⁷ is exact
// to 6e-9. NaN stays NaN: the clamps return their second operand, x, when one is NaN.

// 1/ln 2
DATA ·exp_log2e+0(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA ·exp_log2e+8(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA ·exp_log2e+16(SB)/8, $0x3fb8aa3b3fb8aa3b
DATA ·exp_log2e+24(SB)/8, $0x3fb8aa3b3fb8aa3b
GLOBL ·exp_log2e(SB), RODATA|NOPTR, $32

// ln 2 rounded to float32
DATA ·exp_ln2hi+0(SB)/8, $0x3f3172183f317218
DATA ·exp_ln2hi+8(SB)/8, $0x3f3172183f317218
DATA ·exp_ln2hi+16(SB)/8, $0x3f3172183f317218
DATA ·exp_ln2hi+24(SB)/8, $0x3f3172183f317218
GLOBL ·exp_ln2hi(SB), RODATA|NOPTR, $32

// and what is left of it
DATA ·exp_ln2lo+0(SB)/8, $0xb102e308b102e308
DATA ·exp_ln2lo+8(SB)/8, $0xb102e308b102e308
DATA ·exp_ln2lo+16(SB)/8, $0xb102e308b102e308
DATA ·exp_ln2lo+24(SB)/8, $0xb102e308b102e308
GLOBL ·exp_ln2lo(SB), RODATA|NOPTR, $32

// -69, below which the result is 0
DATA ·exp_low+0(SB)/8, $0xc28a0000c28a0000
DATA ·exp_low+8(SB)/8, $0xc28a0000c28a0000
DATA ·exp_low+16(SB)/8, $0xc28a0000c28a0000
DATA ·exp_low+24(SB)/8, $0xc28a0000c28a0000
GLOBL ·exp_low(SB), RODATA|NOPTR, $32

// 89, whose exponential is +Inf
DATA ·exp_high+0(SB)/8, $0x42b2000042b20000
DATA ·exp_high+8(SB)/8, $0x42b2000042b20000
DATA ·exp_high+16(SB)/8, $0x42b2000042b20000
DATA ·exp_high+24(SB)/8, $0x42b2000042b20000
GLOBL ·exp_high(SB), RODATA|NOPTR, $32

// 1
DATA ·exp_one+0(SB)/8, $0x3f8000003f800000
DATA ·exp_one+8(SB)/8, $0x3f8000003f800000
DATA ·exp_one+16(SB)/8, $0x3f8000003f800000
DATA ·exp_one+24(SB)/8, $0x3f8000003f800000
GLOBL ·exp_one(SB), RODATA|NOPTR, $32

// 127, of the exponent field
DATA ·exp_bias+0(SB)/8, $0x0000007f0000007f
DATA ·exp_bias+8(SB)/8, $0x0000007f0000007f
DATA ·exp_bias+16(SB)/8, $0x0000007f0000007f
DATA ·exp_bias+24(SB)/8, $0x0000007f0000007f
GLOBL ·exp_bias(SB), RODATA|NOPTR, $32

// 1/2!
DATA ·exp_c2+0(SB)/8, $0x3f0000003f000000
DATA ·exp_c2+8(SB)/8, $0x3f0000003f000000
DATA ·exp_c2+16(SB)/8, $0x3f0000003f000000
DATA ·exp_c2+24(SB)/8, $0x3f0000003f000000
GLOBL ·exp_c2(SB), RODATA|NOPTR, $32

// 1/3!
DATA ·exp_c3+0(SB)/8, $0x3e2aaaab3e2aaaab
DATA ·exp_c3+8(SB)/8, $0x3e2aaaab3e2aaaab
DATA ·exp_c3+16(SB)/8, $0x3e2aaaab3e2aaaab
DATA ·exp_c3+24(SB)/8, $0x3e2aaaab3e2aaaab
GLOBL ·exp_c3(SB), RODATA|NOPTR, $32

// 1/4!
DATA ·exp_c4+0(SB)/8, $0x3d2aaaab3d2aaaab
DATA ·exp_c4+8(SB)/8, $0x3d2aaaab3d2aaaab
DATA ·exp_c4+16(SB)/8, $0x3d2aaaab3d2aaaab
DATA ·exp_c4+24(SB)/8, $0x3d2aaaab3d2aaaab
GLOBL ·exp_c4(SB), RODATA|NOPTR, $32

// 1/5!
DATA ·exp_c5+0(SB)/8, $0x3c0888893c088889
DATA ·exp_c5+8(SB)/8, $0x3c0888893c088889
DATA ·exp_c5+16(SB)/8, $0x3c0888893c088889
DATA ·exp_c5+24(SB)/8, $0x3c0888893c088889
GLOBL ·exp_c5(SB), RODATA|NOPTR, $32

// 1/6!
DATA ·exp_c6+0(SB)/8, $0x3ab60b613ab60b61
DATA ·exp_c6+8(SB)/8, $0x3ab60b613ab60b61
DATA ·exp_c6+16(SB)/8, $0x3ab60b613ab60b61
DATA ·exp_c6+24(SB)/8, $0x3ab60b613ab60b61
GLOBL ·exp_c6(SB), RODATA|NOPTR, $32

// 1/7!
DATA ·exp_c7+0(SB)/8, $0x39500d0139500d01
DATA ·exp_c7+8(SB)/8, $0x39500d0139500d01
DATA ·exp_c7+16(SB)/8, $0x39500d0139500d01
DATA ·exp_c7+24(SB)/8, $0x39500d0139500d01
GLOBL ·exp_c7(SB), RODATA|NOPTR, $32

// EXP256: y = exp(y), 0 below −69, with temporaries n and p; Y12 is spoiled.
#define EXP256(y, n, p) \
	VMOVUPS ·exp_low(SB), n; \
	VCMPPS $5, n, y, Y12; \
	VMAXPS y, n, y; \
	VMOVUPS ·exp_high(SB), n; \
	VMINPS y, n, y; \
	VMULPS ·exp_log2e(SB), y, n; \
	VROUNDPS $8, n, n; \
	VFNMADD231PS ·exp_ln2hi(SB), n, y; \
	VFNMADD231PS ·exp_ln2lo(SB), n, y; \
	VMOVUPS ·exp_c7(SB), p; \
	VFMADD213PS ·exp_c6(SB), y, p; \
	VFMADD213PS ·exp_c5(SB), y, p; \
	VFMADD213PS ·exp_c4(SB), y, p; \
	VFMADD213PS ·exp_c3(SB), y, p; \
	VFMADD213PS ·exp_c2(SB), y, p; \
	VFMADD213PS ·exp_one(SB), y, p; \
	VFMADD213PS ·exp_one(SB), y, p; \
	VCVTPS2DQ n, n; \
	VPSRAD $1, n, y; \
	VPSUBD y, n, n; \
	VPADDD ·exp_bias(SB), y, y; \
	VPADDD ·exp_bias(SB), n, n; \
	VPSLLD $23, y, y; \
	VPSLLD $23, n, n; \
	VMULPS p, y, y; \
	VMULPS n, y, y; \
	VANDPS Y12, y, y

#define TAILMASK \
	LEAQ ·lanemask(SB), R12; \
	NEGQ CX; \
	VMOVUPS 32(R12)(CX*4), Y15

// func expSum256(dst, x []float32, shift float32) float32
TEXT ·expSum256(SB), NOSPLIT, $0-60
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	VBROADCASTSS shift+48(FP), Y14
	VXORPS Y13, Y13, Y13
	XORL AX, AX
	JMP  more

loop:
	VMOVUPS (SI)(AX*4), Y0
	VSUBPS Y14, Y0, Y0
	EXP256(Y0, Y1, Y2)
	VMOVUPS Y0, (DI)(AX*4)
	VADDPS Y0, Y13, Y13
	ADDQ $8, AX
	SUBQ $8, CX

more:
	CMPQ CX, $8
	JGE  loop
	TESTQ CX, CX
	JZ   done
	TAILMASK
	VMASKMOVPS (SI)(AX*4), Y15, Y0
	VSUBPS Y14, Y0, Y0
	EXP256(Y0, Y1, Y2)
	VMASKMOVPS Y0, Y15, (DI)(AX*4)
	VANDPS Y15, Y0, Y0
	VADDPS Y0, Y13, Y13

done:
	VEXTRACTF128 $1, Y13, X1
	VADDPS X1, X13, X0
	VMOVHLPS X0, X0, X1
	VADDPS X1, X0, X0
	VMOVSHDUP X0, X1
	VADDSS X1, X0, X0
	VMOVSS X0, ret+56(FP)
	VZEROUPPER
	RET

// SIGMOID256: y = 1/(1+exp(−y)); Y11 holds 1.
#define SIGMOID256(y, n, p) \
	VXORPS n, n, n; \
	VSUBPS y, n, y; \
	EXP256(y, n, p); \
	VADDPS Y11, y, y; \
	VDIVPS y, Y11, y

// func swiglu256(dst, gate, up []float32)
TEXT ·swiglu256(SB), NOSPLIT, $0-72
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ gate_base+24(FP), SI
	MOVQ up_base+48(FP), DX
	VMOVUPS ·exp_one(SB), Y11
	XORL AX, AX
	JMP  more

loop:
	VMOVUPS (SI)(AX*4), Y3
	VMOVAPS Y3, Y0
	SIGMOID256(Y0, Y1, Y2)
	VMULPS Y3, Y0, Y0
	VMULPS (DX)(AX*4), Y0, Y0
	VMOVUPS Y0, (DI)(AX*4)
	ADDQ $8, AX
	SUBQ $8, CX

more:
	CMPQ CX, $8
	JGE  loop
	TESTQ CX, CX
	JZ   done
	TAILMASK
	VMASKMOVPS (SI)(AX*4), Y15, Y3
	VMASKMOVPS (DX)(AX*4), Y15, Y4
	VMOVAPS Y3, Y0
	SIGMOID256(Y0, Y1, Y2)
	VMULPS Y3, Y0, Y0
	VMULPS Y4, Y0, Y0
	VMASKMOVPS Y0, Y15, (DI)(AX*4)

done:
	VZEROUPPER
	RET

// SWIGLUGRAD256 takes gate, up and dy in Y3–Y5 and leaves dgate in Y0 and dup in Y5.
#define SWIGLUGRAD256 \
	VMOVAPS Y3, Y0; \
	SIGMOID256(Y0, Y1, Y2); \
	VSUBPS Y0, Y11, Y1; \
	VFMADD213PS Y11, Y3, Y1; \
	VMULPS Y0, Y5, Y5; \
	VMULPS Y5, Y1, Y0; \
	VMULPS Y4, Y0, Y0; \
	VMULPS Y3, Y5, Y5

// func swigluGrad256(dgate, dup, gate, up, dy []float32)
TEXT ·swigluGrad256(SB), NOSPLIT, $0-120
	MOVQ dgate_base+0(FP), DI
	MOVQ dgate_len+8(FP), CX
	MOVQ dup_base+24(FP), BX
	MOVQ gate_base+48(FP), SI
	MOVQ up_base+72(FP), DX
	MOVQ dy_base+96(FP), R8
	VMOVUPS ·exp_one(SB), Y11
	XORL AX, AX
	JMP  more

loop:
	VMOVUPS (SI)(AX*4), Y3
	VMOVUPS (DX)(AX*4), Y4
	VMOVUPS (R8)(AX*4), Y5
	SWIGLUGRAD256
	VMOVUPS Y0, (DI)(AX*4)
	VMOVUPS Y5, (BX)(AX*4)
	ADDQ $8, AX
	SUBQ $8, CX

more:
	CMPQ CX, $8
	JGE  loop
	TESTQ CX, CX
	JZ   done
	TAILMASK
	VMASKMOVPS (SI)(AX*4), Y15, Y3
	VMASKMOVPS (DX)(AX*4), Y15, Y4
	VMASKMOVPS (R8)(AX*4), Y15, Y5
	SWIGLUGRAD256
	VMASKMOVPS Y0, Y15, (DI)(AX*4)
	VMASKMOVPS Y5, Y15, (BX)(AX*4)

done:
	VZEROUPPER
	RET
