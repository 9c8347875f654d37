// Products of a warpgroup, 128 threads, out of shared memory, and a ring of tiles between the threads that copy them
// and those that multiply: instructions that cards of capability 9.0 have and no others (PTX ISA, "Asynchronous
// warpgroup level matrix instructions").
#pragma once
#include "tensor_attention.h"

#define METHOD inline __attribute__((device, always_inline))

// Panels is a tile of ROWS rows of D elements as these products read it: 64 columns after another, each panel with
// rows of 128 bytes in eight chunks whose place is their number xor the row's.
template <int D, int ROWS> struct Panels {
  static const int panel = ROWS * 128, bytes = D / 64 * panel;
  // Where a row's chunk of eight elements is.
  DEVICE u32 place(int row, int chunk) { return chunk / 8 * panel + row * 128 + ((chunk % 8 ^ (row & 7)) << 4); }
};

// The tile at an address as an operand: 64-column panels `panel` bytes apart, eight rows 1,024 bytes apart, chunks
// placed as above.
DEVICE u64 matrix(u32 at, int panel) {
  return (u64)(at >> 4 & 0x3fff) | (u64)(panel >> 4) << 16 | (u64)(1024 >> 4) << 32 | (u64)1 << 62;
}

// along is the operand `bytes` further.
DEVICE u64 along(u64 matrix, int bytes) { return matrix + (bytes >> 4); }

template <int M, int N> DEVICE void hold(float (&c)[M][N][4]) {
  UNROLL for (int m = 0; m < M; m++) UNROLL for (int n = 0; n < N; n++) UNROLL for (int e = 0; e < 4; e++)
      asm volatile("" : "+f"(c[m][n][e]) : : "memory");
}
template <int N> DEVICE void hold(u32 (&c)[N][4]) {
  UNROLL for (int n = 0; n < N; n++) UNROLL for (int e = 0; e < 4; e++) asm volatile("" : "+r"(c[n][e]) : : "memory");
}

// begin orders products after what was done to their registers, commit closes a group of them, and finish waits until
// at most N groups are under way; the registers named are touched before and after it, not meanwhile.
template <class... C> DEVICE void begin(C &...c) {
  (hold(c), ...);
  asm volatile("wgmma.fence.sync.aligned;" : : : "memory");
}
DEVICE void commit() { asm volatile("wgmma.commit_group.sync.aligned;" : : : "memory"); }
template <int N, class... C> DEVICE void finish(C &...c) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(N) : "memory");
  (hold(c), ...);
}

#define RESULT(x) "=f"(x)
#define SUMMAND(x) "+f"(x)
#define LIST_64 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                               \
                "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define REGISTERS_64(MODE)                                                                                             \
  MODE(c[0][0][0]), MODE(c[0][0][1]), MODE(c[0][0][2]), MODE(c[0][0][3]),                                              \
  MODE(c[0][1][0]), MODE(c[0][1][1]), MODE(c[0][1][2]), MODE(c[0][1][3]),                                              \
  MODE(c[0][2][0]), MODE(c[0][2][1]), MODE(c[0][2][2]), MODE(c[0][2][3]),                                              \
  MODE(c[0][3][0]), MODE(c[0][3][1]), MODE(c[0][3][2]), MODE(c[0][3][3]),                                              \
  MODE(c[0][4][0]), MODE(c[0][4][1]), MODE(c[0][4][2]), MODE(c[0][4][3]),                                              \
  MODE(c[0][5][0]), MODE(c[0][5][1]), MODE(c[0][5][2]), MODE(c[0][5][3]),                                              \
  MODE(c[0][6][0]), MODE(c[0][6][1]), MODE(c[0][6][2]), MODE(c[0][6][3]),                                              \
  MODE(c[0][7][0]), MODE(c[0][7][1]), MODE(c[0][7][2]), MODE(c[0][7][3])
#define LIST_128 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                              \
                "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                     \
                "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                     \
                "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define REGISTERS_128(MODE)                                                                                            \
  MODE(c[0][0][0]), MODE(c[0][0][1]), MODE(c[0][0][2]), MODE(c[0][0][3]),                                              \
  MODE(c[0][1][0]), MODE(c[0][1][1]), MODE(c[0][1][2]), MODE(c[0][1][3]),                                              \
  MODE(c[0][2][0]), MODE(c[0][2][1]), MODE(c[0][2][2]), MODE(c[0][2][3]),                                              \
  MODE(c[0][3][0]), MODE(c[0][3][1]), MODE(c[0][3][2]), MODE(c[0][3][3]),                                              \
  MODE(c[0][4][0]), MODE(c[0][4][1]), MODE(c[0][4][2]), MODE(c[0][4][3]),                                              \
  MODE(c[0][5][0]), MODE(c[0][5][1]), MODE(c[0][5][2]), MODE(c[0][5][3]),                                              \
  MODE(c[0][6][0]), MODE(c[0][6][1]), MODE(c[0][6][2]), MODE(c[0][6][3]),                                              \
  MODE(c[0][7][0]), MODE(c[0][7][1]), MODE(c[0][7][2]), MODE(c[0][7][3]),                                              \
  MODE(c[0][8][0]), MODE(c[0][8][1]), MODE(c[0][8][2]), MODE(c[0][8][3]),                                              \
  MODE(c[0][9][0]), MODE(c[0][9][1]), MODE(c[0][9][2]), MODE(c[0][9][3]),                                              \
  MODE(c[0][10][0]), MODE(c[0][10][1]), MODE(c[0][10][2]), MODE(c[0][10][3]),                                          \
  MODE(c[0][11][0]), MODE(c[0][11][1]), MODE(c[0][11][2]), MODE(c[0][11][3]),                                          \
  MODE(c[0][12][0]), MODE(c[0][12][1]), MODE(c[0][12][2]), MODE(c[0][12][3]),                                          \
  MODE(c[0][13][0]), MODE(c[0][13][1]), MODE(c[0][13][2]), MODE(c[0][13][3]),                                          \
  MODE(c[0][14][0]), MODE(c[0][14][1]), MODE(c[0][14][2]), MODE(c[0][14][3]),                                          \
  MODE(c[0][15][0]), MODE(c[0][15][1]), MODE(c[0][15][2]), MODE(c[0][15][3])

// The instructions; `sums` is 1 where c is added to.
#define PRODUCT_OF(N, TYPE, MODE, A, TURNED, SUM, ...)                                                                 \
  asm volatile("{ .reg .pred sum; setp.eq.u32 sum, " SUM ", 1; "                                                       \
               "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPE "." TYPE " {" LIST_##N "}, " A ", sum, 1, 1, " TURNED "; }"\
               : REGISTERS_##N(MODE)                                                                                   \
               : __VA_ARGS__, "l"(b), "r"(sums)                                                                        \
               : "memory")
#define BY_SHARED(TYPE)                                                                                                \
  if constexpr (N == 8 && SUM) PRODUCT_OF(64, TYPE, SUMMAND, "%32, %33", "0, 0", "%34", "l"(a));                       \
  else if constexpr (N == 8) PRODUCT_OF(64, TYPE, RESULT, "%32, %33", "0, 0", "%34", "l"(a));                          \
  else if constexpr (SUM) PRODUCT_OF(128, TYPE, SUMMAND, "%64, %65", "0, 0", "%66", "l"(a));                           \
  else PRODUCT_OF(128, TYPE, RESULT, "%64, %65", "0, 0", "%66", "l"(a))
#define BY_REGISTERS(TYPE)                                                                                             \
  if constexpr (N == 8) PRODUCT_OF(64, TYPE, SUMMAND, "{%32, %33, %34, %35}, %36", "1", "%37", WORDS);                 \
  else PRODUCT_OF(128, TYPE, SUMMAND, "{%64, %65, %66, %67}, %68", "1", "%69", WORDS)
#define WORDS "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3])

// c[64,8·N] = a·bᵀ, or that added where SUM is set: 64 rows by 8·N rows, 16 columns of each.
template <class S, int SUM, int N> DEVICE void product(float (&c)[1][N][4], u64 a, u64 b) {
  const u32 sums = SUM;
  if constexpr (__is_same(S, bf16)) {
    BY_SHARED("bf16");
  } else {
    BY_SHARED("f16");
  }
}

// c[64,8·N] += a·b with a in registers: 16 rows of b.
template <class S, int N> DEVICE void productSum(float (&c)[1][N][4], const u32 (&a)[4], u64 b) {
  const u32 sums = 1;
  if constexpr (__is_same(S, bf16)) {
    BY_REGISTERS("bf16");
  } else {
    BY_REGISTERS("f16");
  }
}

// A barrier in shared memory: `count` arrivals end a phase of it, and phases are told apart by their parity.
DEVICE void barrier(u32 at, int count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" : : "r"(at), "r"(count) : "memory"); }
DEVICE void arrive(u32 at) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" : : "r"(at) : "memory"); }
// arriveCopied arrives once the copies that this thread started before are done.
DEVICE void arriveCopied(u32 at) { asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" : : "r"(at) : "memory"); }
DEVICE void await(u32 at, u32 parity) {
  u32 done;
  do {
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(at), "r"(parity) : "memory");
  } while (!done);
}
// copied makes what ordinary copies wrote seen by products.
DEVICE void copied() { asm volatile("fence.proxy.async.shared::cta;" : : : "memory"); }

// Ring is SLOTS tiles in shared memory, which one warpgroup fills and two read, each in the same order. Its barriers lie
// at `barriers`, 16 bytes a slot.
template <int SLOTS, int BYTES> struct Ring {
  u32 at, barriers;
  int slot;
  u32 parity;
  static const int bytes = SLOTS * (BYTES + 16);

  METHOD void open() {
    for (int i = 0; i < SLOTS; i++) {
      barrier(barriers + 16 * i, 128);
      barrier(barriers + 16 * i + 8, 8);
    }
  }
  METHOD u32 tile(int slot) { return at + slot * BYTES; }
  METHOD void step() {
    if (++slot == SLOTS) {
      slot = 0;
      parity ^= 1;
    }
  }
  // vacant gives the next slot to fill, once it was read; filled is for the copies that were started to it.
  METHOD int vacant() {
    await(barriers + 16 * slot + 8, parity ^ 1);
    return slot;
  }
  METHOD void filled() {
    arriveCopied(barriers + 16 * slot);
    step();
  }
  // take gives the next slot to read, once it is filled; release gives it back.
  METHOD int take() {
    int now = slot;
    await(barriers + 16 * now, parity);
    copied();
    step();
    return now;
  }
  METHOD void release(int slot) {
    if (lane() == 0) arrive(barriers + 16 * slot + 8);
  }
};

// fill starts copying rows from..from+ROWS to a tile by 128 threads, zeros past the last row and past dim. Rows are
// aligned.
template <int D, int ROWS> DEVICE void fill(u32 tile, Operand o, int from) {
  const int chunks = D / 8, step = 128 / chunks; // a multiple of eight: a thread's chunk keeps its place
  int t = thread() % 128, r = t / chunks, c = t % chunks, rows = o.rows - from;
  const u16 *src = o.at + (i64)(from + r) * o.row + c * 8;
  u32 to = tile + Panels<D, ROWS>::place(r, c);
  bool in = c * 8 < o.dim;
  UNROLL for (int i = 0; i < ROWS / step; i++)
      copy16(to + i * step * 128, src + (i64)(i * step) * o.row, in && r + i * step < rows ? 16 : 0);
}

// Registers move from the warpgroup that copies to those that multiply; both are set for a block of 384 threads.
DEVICE void fewRegisters() { asm volatile("setmaxnreg.dec.sync.aligned.u32 40;"); }
DEVICE void manyRegisters() { asm volatile("setmaxnreg.inc.sync.aligned.u32 232;"); }

// dots is c = a·bᵀ: 64 rows of one tile by N·8 rows of another.
template <class S, int D, int N> DEVICE void dots(float (&c)[1][N][4], u64 a, int panelA, u64 b, int panelB) {
  UNROLL for (int k = 0; k < D / 16; k++) {
    u64 x = along(a, k / 4 * panelA + k % 4 * 32), y = along(b, k / 4 * panelB + k % 4 * 32);
    if (k == 0) product<S, 0>(c, x, y);
    else product<S, 1>(c, x, y);
  }
}

// weigh is o += w·t: weights by the K·16 rows of a tile.
template <class S, int K, int N> DEVICE void weigh(float (&o)[1][N][4], const u32 (&w)[K][4], u64 t) {
  UNROLL for (int k = 0; k < K; k++) productSum<S>(o, w[k], along(t, k * 2048));
}

// narrow rounds weights to operands of products.
template <class S, int N> DEVICE void narrow(u32 (&to)[N / 2][4], const float (&w)[1][N][4]) {
  UNROLL for (int k = 0; k < N / 2; k++) UNROLL for (int i = 0; i < 4; i++)
      to[k][i] = join<S>(w[0][2 * k + i / 2][i % 2 * 2], w[0][2 * k + i / 2][i % 2 * 2 + 1]);
}
