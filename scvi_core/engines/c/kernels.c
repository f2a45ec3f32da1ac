/* Kernels of the training step in step.py, single precision. likelihood.py explains the formulas of the counts.
 *
 * Matrices are stored by rows. Loops over genes or hidden units are free of branches and calls, so that the compiler
 * turns them into vector instructions. Every sum runs in an order that depends on the number of threads alone: the
 * same seed and the same threads give the same bits. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- elementary functions, errors of about 1e-7 */

static inline float from_bits(int32_t i) { float f; memcpy(&f, &i, 4); return f; }
static inline int32_t to_bits(float f) { int32_t i; memcpy(&i, &f, 4); return i; }
static inline float within(float x, float bound) {
    x = x > -bound ? x : -bound;
    return x < bound ? x : bound;
}

/* exp(x) = 2^k exp(f), |f| <= log(2) / 2, for |x| < 1e8; k is clipped where 2^k would leave the normal numbers. */
static inline float exp_(float x) {
    float whole = nearbyintf(x * 1.44269504088896f);
    float f = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float p = 0.00139261761f;
    p = p * f + 0.00836317307f;
    p = p * f + 0.0416665547f;
    p = p * f + 0.16666577f;
    p = p * f + 0.5f;
    p = p * (f * f) + f + 1.0f;
    int32_t k = (int32_t)whole;
    k = k > -125 ? k : -125;
    k = k < 126 ? k : 126;
    return from_bits(to_bits(p) + (k << 23));
}

/* (exp(x) - 1) / x for -1/2 <= x <= 0, clipped below. */
static inline float expm1_ratio(float x) {
    x = x > -0.5f ? x : -0.5f;
    float p = 0.00112340422f;
    p = p * x + 0.00818961363f;
    p = p * x + 0.0416300728f;
    p = p * x + 0.166662419f;
    p = p * x + 0.499999819f;
    return p * x + 1.0f;
}

/* log(1 + u), and how far it is above u, from u and q = 1 + u = 2^k (1 + f). With k = 0 nothing cancels, so that both
 * keep their relative precision however small u is. */
typedef struct { float log, excess; } log1p_t;
static inline log1p_t log1p_(float u, float q) {
    int32_t bits = to_bits(q) - 0x3f3504f3; /* sqrt(1/2) */
    int32_t k = bits >> 23;
    float f = from_bits((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
    f = k == 0 ? u : f;
    float p = -0.0790274377f;
    p = p * f + 0.126223198f;
    p = p * f - 0.129981838f;
    p = p * f + 0.142144959f;
    p = p * f - 0.166412815f;
    p = p * f + 0.200010451f;
    p = p * f - 0.250003064f;
    p = p * f + 0.333333307f;
    float excess = f * f * (f * p - 0.5f);
    float log = (float)k * 0.693147180559945f + (f + excess);
    return (log1p_t){log, k == 0 ? excess : log - u};
}
static inline float log_(float q) { return log1p_(q - 1.0f, q).log; }

/* S(a) and -S'(a) of likelihood.py for a >= 1, from b = 1 / a. */
static inline float stirling(float b) {
    float p = 0.000142218941f;
    p = p * b - 0.000645669863f;
    p = p * b + 0.00106353309f;
    p = p * b - 6.09097331e-05f;
    p = p * b - 0.00277068811f;
    p = p * b - 3.49734534e-07f;
    p = p * b + 0.0833333367f;
    return p * b;
}
static inline float stirling_slope(float b) {
    float p = -0.000252634789f;
    p = p * b + 0.00072127025f;
    p = p * b + 0.00024565859f;
    p = p * b - 0.00354923833f;
    p = p * b + 0.00528473865f;
    p = p * b - 0.000258195322f;
    p = p * b - 0.00830834454f;
    p = p * b - 9.31262852e-07f;
    p = p * b + 0.0833333391f;
    return p * b * b;
}

/* ---------------------------------------------------------------- the likelihood of the counts */

/* The genes of a cell are taken TILE at a time, so that what is computed for them stays in the first-level cache. */
enum { TILE = 256 };

/* Bound on the logarithms of theta and l, which keeps mu / theta finite. */
#define RANGE 43.0f

/* What depends on log theta alone, for the genes of a tile or for all: theta, 1 / theta, S(theta), -S'(theta). */
typedef struct { float *theta, *inverse, *s, *slope; } dispersion_t;

static dispersion_t rows_of(const float *tables, int64_t n, int64_t start) {
    float *first = (float *)tables + start;
    return (dispersion_t){first, first + n, first + 2 * n, first + 3 * n};
}

/* Fill four rows of n; below one by S(a) = S(a + 1) + (a + 1/2) log(1 + 1/a) - 1. */
void dispersion_tables(int64_t n, const float *restrict log_theta, float *tables) {
    dispersion_t d = rows_of(tables, n, 0);
    float *restrict theta = d.theta, *restrict inverse = d.inverse, *restrict s = d.s, *restrict slope = d.slope;
    #pragma omp simd
    for (int64_t g = 0; g < n; g++) {
        float log_a = within(log_theta[g], RANGE), a = exp_(log_a), i = exp_(-log_a);
        float b = a < 1.0f ? 1.0f / (a + 1.0f) : i;
        float log = log1p_(i, 1.0f + i).log;
        theta[g] = a;
        inverse[g] = i;
        s[g] = stirling(b) + (a < 1.0f ? (a + 0.5f) * log - 1.0f : 0.0f);
        slope[g] = stirling_slope(b) + (a < 1.0f ? (a + 0.5f) * i * b - log : 0.0f);
    }
}

static float log_sum_exp(int64_t n, const float *restrict rate) {
    float top = rate[0], sum = 0.0f;
    #pragma omp simd reduction(max : top)
    for (int64_t g = 0; g < n; g++) top = rate[g] > top ? rate[g] : top;
    #pragma omp simd reduction(+ : sum)
    for (int64_t g = 0; g < n; g++) sum += exp_(rate[g] - top);
    return top + logf(sum);
}

/* mu = exp(log_l) times the softmax of the rates, or exp(rate) without one. */
static void means(int64_t n, const float *restrict rate, float log_l, int softmax, float *restrict mu) {
    if (!softmax) {
        #pragma omp simd
        for (int64_t g = 0; g < n; g++) mu[g] = exp_(within(rate[g], RANGE));
        return;
    }
    float top = rate[0], sum = 0.0f;
    #pragma omp simd reduction(max : top)
    for (int64_t g = 0; g < n; g++) top = rate[g] > top ? rate[g] : top;
    #pragma omp simd reduction(+ : sum)
    for (int64_t g = 0; g < n; g++) sum += mu[g] = exp_(rate[g] - top);
    float factor = exp_(log_l) / sum;
    #pragma omp simd
    for (int64_t g = 0; g < n; g++) mu[g] *= factor;
}

/* A tile of a cell. */
typedef struct {
    float value[TILE];                                /* log-probability, without what the count alone decides */
    float by_mu[TILE], by_theta[TILE], by_logit[TILE]; /* slopes in log mu, log theta and the dropout logit */
    float log_ratio[TILE];                            /* log(1 + mu / theta) */
    float list[6][TILE];                              /* of the non-zero counts, side by side */
} tile_t;

/* The functions of a tile are compiled twice, with `slopes` 1 and 0: without them only the values are filled. */
#define TWICE static inline __attribute__((always_inline))

/* Every gene as if its count were zero. */
TWICE void negative_binomial_zeros(int64_t n, dispersion_t d, const float *restrict mu, int slopes,
                                   tile_t *restrict tile) {
    const float *restrict theta = d.theta, *restrict inverse = d.inverse;
    #pragma omp simd
    for (int64_t g = 0; g < n; g++) {
        float e = mu[g] * inverse[g], q = 1.0f + e, share = e / q;
        log1p_t l = log1p_(e, q);
        float gap = e < 0.41f ? e * share + l.excess : l.log - share; /* log(1 + e) - e / (1 + e) */
        tile->log_ratio[g] = l.log;
        tile->value[g] = -theta[g] * l.log;
        if (slopes) tile->by_mu[g] = -theta[g] * share;
        if (slopes) tile->by_theta[g] = -theta[g] * gap;
    }
}

/* The same with zero inflation; logits are cut at 60, where float has long called the probability 0 or 1. */
TWICE void inflate_zeros(int64_t n, const float *restrict logit, int slopes, tile_t *restrict tile) {
    float *restrict u = tile->list[0], *restrict q = tile->list[1], *restrict shift = tile->list[2];
    #pragma omp simd
    for (int64_t g = 0; g < n; g++) {
        float nb = tile->value[g], x = within(logit[g], 60.0f);
        float odds = exp_(x), kept = 1.0f / (1.0f + odds);
        float nb_odds = exp_(nb - x), from_dropout = 1.0f / (1.0f + nb_odds), from_nb = nb_odds * from_dropout;
        int small = nb > -0.5f; /* there 1 - exp(nb) would cancel */
        float missing = kept * (small ? nb * expm1_ratio(nb) : odds * nb_odds - 1.0f); /* P(x = 0) - 1 */
        q[g] = small ? 1.0f + missing : (1.0f + nb_odds) * kept;
        u[g] = small ? missing : q[g] - 1.0f;
        shift[g] = small ? 0.0f : x;
        if (slopes) tile->by_mu[g] *= from_nb;
        if (slopes) tile->by_theta[g] *= from_nb;
        if (slopes) tile->by_logit[g] = -missing * from_dropout;
    }
    #pragma omp simd /* a loop of its own, so that the processor has several genes in flight */
    for (int64_t g = 0; g < n; g++) tile->value[g] = shift[g] + log1p_(u[g], q[g]).log;
}

/* The genes with a count in place of the zeros assumed above (likelihood.py: K - x h(v) - theta h(w)); genes count from
 * `start`. logit NULL: negative binomial. */
TWICE void nonzeros(int64_t n, const int32_t *restrict genes, const float *restrict counts, int64_t start,
                    dispersion_t dispersion, const float *restrict mus, const float *restrict logit, int slopes,
                    tile_t *restrict tile) {
    float *restrict a = tile->list[0], *restrict b = tile->list[1], *restrict c = tile->list[2];
    float *restrict d = tile->list[3], *restrict e = tile->list[4], *restrict f = tile->list[5];
    for (int64_t j = 0; j < n; j++) {
        int64_t g = genes[j] - start;
        a[j] = dispersion.theta[g];
        b[j] = dispersion.s[g];
        c[j] = dispersion.slope[g];
        d[j] = mus[g];
        e[j] = tile->log_ratio[g];
        f[j] = logit ? logit[g] : -87.0f;
    }
    #pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        float x = counts[j], theta = a[j], mu = d[j];
        float n_inverse = 1.0f / (x + theta), sum_inverse = 1.0f / (theta + mu), x_inverse = 1.0f / x;
        float w = (x - mu) * sum_inverse, q = (x + theta) * sum_inverse; /* q = 1 + w */
        log1p_t lw = log1p_(w, q), lv = log1p_(-theta * w * x_inverse, mu * x_inverse * q);
        e[j] = x * lv.excess + theta * lw.excess - 0.5f * (lw.log + e[j]) + stirling(n_inverse) - b[j];
        if (slopes) d[j] = theta * w;
        if (slopes) a[j] = theta * (lw.excess + c[j] - stirling_slope(n_inverse)) + 0.5f * x * n_inverse;
    }
    #pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        float x = f[j], odds = exp_(-fabsf(x)), larger = 1.0f / (1.0f + odds);
        if (slopes) f[j] = x >= 0.0f ? -larger : -odds * larger;
        e[j] += log_(larger) - (x > 0.0f ? x : 0.0f);
    }
    for (int64_t j = 0; j < n; j++) {
        int64_t g = genes[j] - start;
        tile->value[g] = e[j];
        if (slopes) tile->by_mu[g] = d[j];
        if (slopes) tile->by_theta[g] = a[j];
        if (slopes) tile->by_logit[g] = f[j];
    }
}

/* The genes of a tile, which count from `start`; n_nonzero, genes and counts are of those with a count. */
TWICE void fill(int64_t n, dispersion_t d, const float *mu, const float *logit, int64_t n_nonzero,
                const int32_t *genes, const float *counts, int64_t start, int slopes, tile_t *tile) {
    negative_binomial_zeros(n, d, mu, slopes, tile);
    if (logit) inflate_zeros(n, logit, slopes, tile);
    nonzeros(n_nonzero, genes, counts, start, d, mu, logit, slopes, tile);
}

/* Minus the log-likelihood of every cell, times `scale`, and its derivatives.
 *
 * n cells; indptr, genes, counts: their non-zero counts; constants (n): the part that the counts alone decide.
 * out (n, stride): what the decoder puts out, n_genes columns of each head, the rate and then, where there are, the
 *   dropout logit and log theta; replaced by the derivatives.
 * tables (n_thetas, 4, n_genes): see dispersion_tables; cell i reads number theta_of[i] (NULL: 0). NULL: log theta is in
 *   out.
 * log_l (n): added to the logarithm of the softmax of the rate; NULL: no softmax, the rate is log mu.
 * loss (n); by_log_l (n), NULL for the loss alone; by_log_theta (n_thetas, n_genes).
 * scratch (threads, 1 + n_thetas, n_genes).
 */
void count_loss(int n_threads, int64_t n, int64_t n_genes, const int64_t *indptr, const int32_t *genes,
                const float *counts, const double *constants, int has_dropout, float *out, int64_t stride,
                int64_t n_thetas, const int64_t *theta_of, const float *tables, const float *log_l, float scale,
                float *loss, float *by_log_l, float *by_log_theta, float *scratch) {
    int64_t own_scratch = (1 + n_thetas) * n_genes, heads = 1 + has_dropout + (tables == NULL);
    #pragma omp parallel for num_threads(n_threads) schedule(static, 1)
    for (int t = 0; t < n_threads; t++) {
        float *restrict mu = scratch + t * own_scratch, *sums = mu + n_genes, own[4 * TILE];
        tile_t tile;
        memset(sums, 0, n_thetas * n_genes * sizeof(float));
        for (int64_t i = t * n / n_threads; i < (t + 1) * n / n_threads; i++) {
            float *restrict rate = out + i * stride, *restrict last = rate + (heads - 1) * n_genes;
            int64_t which = theta_of ? theta_of[i] : 0, j = indptr[i], stop = indptr[i + 1];
            float shift = log_l ? within(log_l[i], RANGE) : 0.0f, slope = 0.0f;
            double total = constants[i];
            means(n_genes, rate, shift, log_l != NULL, mu);
            for (int64_t start = 0; start < n_genes; start += TILE) {
                int64_t length = n_genes - start < TILE ? n_genes - start : TILE, first = j;
                float *restrict logit = has_dropout ? rate + n_genes + start : NULL;
                dispersion_t d = tables ? rows_of(tables + which * 4 * n_genes, n_genes, start) : rows_of(own, length, 0);
                if (!tables) dispersion_tables(length, last + start, own);
                while (j < stop && genes[j] < start + length) j++;
                if (by_log_l)
                    fill(length, d, mu + start, logit, j - first, genes + first, counts + first, start, 1, &tile);
                else
                    fill(length, d, mu + start, logit, j - first, genes + first, counts + first, start, 0, &tile);

                float value = 0.0f;
                #pragma omp simd reduction(+ : value)
                for (int64_t g = 0; g < length; g++) value += tile.value[g];
                total += value;
                if (!by_log_l) continue;
                #pragma omp simd reduction(+ : slope)
                for (int64_t g = 0; g < length; g++) {
                    slope += tile.by_mu[g];
                    rate[start + g] = tile.by_mu[g];
                }
                for (int64_t g = 0; g < length && logit; g++) logit[g] = -scale * tile.by_logit[g];
                float *restrict to = tables ? sums + which * n_genes + start : last + start;
                for (int64_t g = 0; g < length; g++) to[g] = (tables ? to[g] : 0.0f) - scale * tile.by_theta[g];
            }
            loss[i] = (float)(-scale * total);
            if (!by_log_l) continue;
            by_log_l[i] = -scale * slope;
            float share = log_l ? slope * exp_(-shift) : 0.0f; /* softmax: d rate = d log mu - rho sum(d log mu) */
            #pragma omp simd
            for (int64_t g = 0; g < n_genes; g++) rate[g] = -scale * (rate[g] - mu[g] * share);
        }
    }
    if (!by_log_l) return;
    memset(by_log_theta, 0, n_thetas * n_genes * sizeof(float));
    for (int t = 0; t < n_threads; t++) {
        const float *restrict sums = scratch + t * own_scratch + n_genes;
        for (int64_t g = 0; g < n_thetas * n_genes; g++) by_log_theta[g] += sums[g];
    }
}

/* Heads of a mean and of a dispersion within bounds, as `count_loss` reads them, in place in out (n, stride), n_genes
 * columns of each: the rate, cut to [low, high], plus the shift of the cell (n) becomes log mu; behind the dropout logit
 * softplus(.), cut to [least, most], becomes log theta. slopes (n, 2 n_genes): of the two in what they were made of. */
void bounded_heads(int64_t n, int64_t n_genes, int64_t stride, float low, float high, float least, float most,
                   float *out, const float *shift, float *slopes) {
    for (int64_t i = 0; i < n; i++) {
        float *restrict rate = out + i * stride, *restrict raw = rate + 2 * n_genes, own = shift[i];
        float *restrict by_rate = slopes + 2 * i * n_genes, *restrict by_raw = by_rate + n_genes;
        #pragma omp simd
        for (int64_t g = 0; g < n_genes; g++) {
            float x = rate[g], cut = x < high ? (x > low ? x : low) : high;
            by_rate[g] = cut == x ? 1.0f : 0.0f;
            rate[g] = cut + own;
        }
        #pragma omp simd
        for (int64_t g = 0; g < n_genes; g++) {
            float x = within(raw[g], 1e6f), e = exp_(-fabsf(x)), share = 1.0f / (1.0f + e);
            float theta = log1p_(e, 1.0f + e).log + (x > 0.0f ? x : 0.0f); /* softplus; sigmoid: share or e share */
            float cut = theta < most ? (theta > least ? theta : least) : most;
            by_raw[g] = cut == theta ? (x > 0.0f ? share : e * share) / theta : 0.0f;
            raw[g] = log_(cut);
        }
    }
}

/* The derivatives that `count_loss` leaves in out, times the slopes. */
void bounded_heads_backward(int64_t n, int64_t n_genes, int64_t stride, float *out, const float *slopes) {
    for (int64_t i = 0; i < n; i++) {
        float *restrict rate = out + i * stride, *restrict raw = rate + 2 * n_genes;
        const float *restrict by_rate = slopes + 2 * i * n_genes, *restrict by_raw = by_rate + n_genes;
        #pragma omp simd
        for (int64_t g = 0; g < n_genes; g++) rate[g] *= by_rate[g];
        #pragma omp simd
        for (int64_t g = 0; g < n_genes; g++) raw[g] *= by_raw[g];
    }
}

/* total (n, n_genes) += weight times the frequencies: the softmax of the rates (n, stride), or their exponential without
 * one. scratch (threads, n_genes). */
void add_frequencies(int n_threads, int64_t n, int64_t n_genes, int64_t stride, int softmax, const float *rates,
                     float *scratch, float weight, float *total) {
    #pragma omp parallel for num_threads(n_threads) schedule(static, 1)
    for (int t = 0; t < n_threads; t++) {
        float *restrict rho = scratch + t * n_genes;
        for (int64_t i = t * n / n_threads; i < (t + 1) * n / n_threads; i++) {
            float *restrict sum = total + i * n_genes;
            means(n_genes, rates + i * stride, 0.0f, softmax, rho);
            #pragma omp simd
            for (int64_t g = 0; g < n_genes; g++) sum[g] += weight * rho[g];
        }
    }
}

/* Draws compared in pairs, gene by gene: rates_a and rates_b (n_pairs * n_samples, stride) are what the decoder puts
 * out, logarithms of frequencies once they are normalised (with softmax). wins (n_pairs, n_genes): of the draws of a
 * pair, how many have the larger frequency in a. fold (n_genes) += the differences of the logarithms.
 * scratch (threads, n_genes). */
void contrast(int n_threads, int64_t n_pairs, int64_t n_samples, int64_t n_genes, int64_t stride, int softmax,
              const float *rates_a, const float *rates_b, double *fold, float *scratch, float *wins) {
    #pragma omp parallel for num_threads(n_threads) schedule(static, 1)
    for (int t = 0; t < n_threads; t++) {
        float *restrict sums = scratch + t * n_genes;
        memset(sums, 0, n_genes * sizeof(float));
        for (int64_t p = t * n_pairs / n_threads; p < (t + 1) * n_pairs / n_threads; p++) {
            float *restrict own = wins + p * n_genes;
            memset(own, 0, n_genes * sizeof(float));
            for (int64_t i = p * n_samples; i < (p + 1) * n_samples; i++) {
                const float *restrict a = rates_a + i * stride, *restrict b = rates_b + i * stride;
                float gap = softmax ? log_sum_exp(n_genes, a) - log_sum_exp(n_genes, b) : 0.0f;
                #pragma omp simd
                for (int64_t g = 0; g < n_genes; g++) {
                    float difference = a[g] - b[g] - gap;
                    own[g] += difference > 0.0f ? 1.0f : 0.0f;
                    sums[g] += difference;
                }
            }
        }
    }
    for (int t = 0; t < n_threads; t++) {
        for (int64_t g = 0; g < n_genes; g++) fold[g] += scratch[t * n_genes + g];
    }
}

/* Of every cell: the logarithm of the number of its counts, and the part of its log-likelihood that depends on the
 * counts alone. */
void describe_cells(int64_t n, const int64_t *indptr, const int32_t *counts, float *log_library, double *constants) {
    for (int64_t i = 0; i < n; i++) {
        double sum = 0.0, part = 0.0;
        #pragma omp simd reduction(+ : sum, part)
        for (int64_t j = indptr[i]; j < indptr[i + 1]; j++) {
            float x = (float)counts[j];
            sum += counts[j];
            part -= 0.5f * log_(x) + 0.918938533f + stirling(1.0f / x); /* log(2 pi) / 2 */
        }
        log_library[i] = (float)log(sum);
        constants[i] = part;
    }
}

/* ---------------------------------------------------------------- sparse cells */

typedef struct { int32_t cell; float value; } input_t;

/* All that is known of the cells in the given rows: their counts by rows, with log(1 + count) or the count itself as the
 * encoders read it, and these inputs gene by gene as well: those of gene g from starts[g] to starts[g + 1]. */
void take(int64_t n, int64_t n_genes, int log_input, int64_t *indptr_out, int32_t *genes_out, float *counts_out,
          float *inputs_out, int32_t *starts, input_t *by_gene, int64_t *codes_out, float *log_library_out,
          double *constants_out, const int64_t *indptr, const int32_t *genes, const int32_t *counts,
          const int64_t *codes, const float *log_library, const double *constants, const int64_t *rows) {
    int64_t end = indptr_out[0] = 0;
    memset(starts, 0, (n_genes + 1) * sizeof(int32_t));
    for (int64_t i = 0; i < n; i++) {
        int64_t row = rows[i], first = indptr[row], length = indptr[row + 1] - first;
        memcpy(genes_out + end, genes + first, length * sizeof(int32_t));
        #pragma omp simd
        for (int64_t j = 0; j < length; j++) {
            float x = (float)counts[first + j];
            counts_out[end + j] = x;
            inputs_out[end + j] = log_input ? log_(1.0f + x) : x;
        }
        for (int64_t j = 0; j < length; j++) starts[genes[first + j] + 1]++;
        indptr_out[i + 1] = end += length;
        codes_out[i] = codes[row];
        log_library_out[i] = log_library[row];
        constants_out[i] = constants[row];
    }
    for (int64_t g = 0; g < n_genes; g++) starts[g + 1] += starts[g];
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = indptr_out[i]; j < indptr_out[i + 1]; j++) {
            by_gene[starts[genes_out[j]]++] = (input_t){(int32_t)i, inputs_out[j]};
        }
    }
    memmove(starts + 1, starts, n_genes * sizeof(int32_t)); /* each start has become the next one */
    starts[0] = 0;
}

/* The cells in the given rows for an encoder that reads dense rows: their counts by rows, and in dense (n, stride) the
 * given inputs where there is a count and `zeros` (n_genes) where there is none. shift: one number for each cell. */
void take_dense(int64_t n, int64_t n_genes, int64_t stride, const float *zeros, int64_t *indptr_out, int32_t *genes_out,
                float *counts_out, float *dense, float *shift_out, double *constants_out, const int64_t *indptr,
                const int32_t *genes, const int32_t *counts, const float *inputs, const float *shift,
                const double *constants, const int64_t *rows) {
    int64_t end = indptr_out[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t row = rows[i], first = indptr[row], length = indptr[row + 1] - first;
        float *restrict to = dense + i * stride;
        memcpy(to, zeros, n_genes * sizeof(float));
        memcpy(genes_out + end, genes + first, length * sizeof(int32_t));
        for (int64_t j = 0; j < length; j++) counts_out[end + j] = (float)counts[first + j];
        for (int64_t j = 0; j < length; j++) to[genes[first + j]] = inputs[first + j];
        indptr_out[i + 1] = end += length;
        shift_out[i] = shift[row];
        constants_out[i] = constants[row];
    }
}

/* Products with the sparse inputs go over COLUMNS columns at a time: a row of the result stays in registers, and what
 * is read of the dense factor in the caches near by: the forward product takes as many genes at a time as have about
 * ENTRIES counts in a cell. */
enum { COLUMNS = 64, LANES = 8, ENTRIES = 24 };
typedef float lanes_t __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef struct { lanes_t part[COLUMNS / LANES]; } columns_t;

static inline columns_t read_columns(const float *from) {
    columns_t row;
    for (int k = 0; k < COLUMNS / LANES; k++) row.part[k] = ((const lanes_t *)from)[k];
    return row;
}
static inline void write_columns(float *to, columns_t row) {
    for (int k = 0; k < COLUMNS / LANES; k++) ((lanes_t *)to)[k] = row.part[k];
}
static inline columns_t add_columns(columns_t sum, float value, const float *from) {
    for (int k = 0; k < COLUMNS / LANES; k++) sum.part[k] += value * ((const lanes_t *)from)[k];
    return sum;
}

/* The same for any number of columns, in memory. */
static inline void add(int64_t columns, float *restrict to, float value, const float *restrict from) {
    #pragma omp simd
    for (int64_t k = 0; k < columns; k++) to[k] += value * from[k];
}

/* out (n, width) = [x, one-hot batch, 1] W: inputs by rows; the batch stands at row n_genes of W (codes NULL: it does
 * not), the bias in the last row, n_in. mask (n, n_genes) is dropout on x, or NULL. cursor (n). */
void sparse_forward(int n_threads, int64_t n, int64_t n_genes, int64_t n_in, int64_t width, const int64_t *indptr,
                    const int32_t *genes, const float *inputs, const int64_t *codes, const float *w, float *out,
                    int64_t *cursor, const float *mask) {
    int64_t block = 1 + ENTRIES * n * n_genes / (indptr[n] + 1);
    #pragma omp parallel for num_threads(n_threads) schedule(static, 1)
    for (int t = 0; t < n_threads; t++) {
        int64_t first = t * n / n_threads, last = (t + 1) * n / n_threads, c = 0;
        for (int64_t i = first; i < last; i++) {
            memcpy(out + i * width, w + n_in * width, width * sizeof(float));
            if (codes) add(width, out + i * width, 1.0f, w + (n_genes + codes[i]) * width);
        }
        for (; c + COLUMNS <= width; c += COLUMNS) {
            for (int64_t i = first; i < last; i++) cursor[i] = indptr[i];
            for (int64_t end = block; end < n_genes + block; end += block) {
                for (int64_t i = first; i < last; i++) {
                    int64_t j = cursor[i], stop = indptr[i + 1];
                    if (j == stop || genes[j] >= end) continue;
                    columns_t sum = read_columns(out + i * width + c);
                    for (; j < stop && genes[j] < end; j++) {
                        float value = mask ? inputs[j] * mask[i * n_genes + genes[j]] : inputs[j];
                        sum = add_columns(sum, value, w + genes[j] * width + c);
                    }
                    write_columns(out + i * width + c, sum);
                    cursor[i] = j;
                }
            }
        }
        for (int64_t i = first; i < last && c < width; i++) {
            for (int64_t j = indptr[i]; j < indptr[i + 1]; j++) {
                float value = mask ? inputs[j] * mask[i * n_genes + genes[j]] : inputs[j];
                add(width - c, out + i * width + c, value, w + genes[j] * width + c);
            }
        }
    }
}

/* by_w (n_in + 1, width) = [x, one-hot batch, 1]T by_out: inputs by genes. */
void sparse_backward(int n_threads, int64_t n, int64_t n_genes, int64_t n_in, int64_t width, const int32_t *starts,
                     const input_t *inputs, const int64_t *codes, const float *by_out, float *by_w,
                     const float *mask) {
    memset(by_w + n_genes * width, 0, (n_in + 1 - n_genes) * width * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        add(width, by_w + n_in * width, 1.0f, by_out + i * width);
        if (codes) add(width, by_w + (n_genes + codes[i]) * width, 1.0f, by_out + i * width);
    }
    #pragma omp parallel for num_threads(n_threads) schedule(static, 1)
    for (int t = 0; t < n_threads; t++) {
        int64_t first = t * n_genes / n_threads, last = (t + 1) * n_genes / n_threads, c = 0;
        float *near = malloc(n * COLUMNS * sizeof(float)); /* the columns side by side: rows that lie a power of two
                                                            * apart share a small part of the first-level cache */
        for (; c + COLUMNS <= width; c += COLUMNS) {
            for (int64_t i = 0; i < n; i++) memcpy(near + i * COLUMNS, by_out + i * width + c, COLUMNS * sizeof(float));
            for (int64_t g = first; g < last; g++) {
                columns_t sum = {{{0}}};
                for (int64_t j = starts[g]; j < starts[g + 1]; j++) {
                    int64_t i = inputs[j].cell;
                    float value = mask ? inputs[j].value * mask[i * n_genes + g] : inputs[j].value;
                    sum = add_columns(sum, value, near + i * COLUMNS);
                }
                write_columns(by_w + g * width + c, sum);
            }
        }
        free(near);
        for (int64_t g = first; g < last && c < width; g++) {
            memset(by_w + g * width + c, 0, (width - c) * sizeof(float));
            for (int64_t j = starts[g]; j < starts[g + 1]; j++) {
                int64_t i = inputs[j].cell;
                float value = mask ? inputs[j].value * mask[i * n_genes + g] : inputs[j].value;
                add(width - c, by_w + g * width + c, value, by_out + i * width + c);
            }
        }
    }
}

/* ---------------------------------------------------------------- hidden layers and Gaussians */

/* Columns [start, start + n_batches) of out (n, stride) become the one-hot batch. */
void one_hot(int64_t n, int64_t stride, int64_t start, int64_t n_batches, const int64_t *codes, float *out) {
    for (int64_t i = 0; i < n; i++) {
        memset(out + i * stride + start, 0, n_batches * sizeof(float));
        out[i * stride + start + codes[i]] = 1.0f;
    }
}

/* Batch normalisation over n cells, ReLU, dropout: a (n, width) becomes the normalised value, out (n, stride) the
 * result. inverse_sd (width); the running mean and variance, squares over n - correction, move by `momentum`; mask
 * (n, width) or NULL. */
void norm_forward(int64_t n, int64_t width, int64_t stride, float eps, float momentum, int64_t correction,
                  float *restrict a, const float *restrict weight, const float *restrict bias,
                  float *restrict running_mean, float *restrict running_var, int64_t *n_tracked,
                  float *restrict inverse_sd, float *restrict out, const float *mask) {
    double *restrict mean = calloc(2 * width, sizeof(double)), *restrict var = mean + width;
    *n_tracked += 1;
    for (int64_t i = 0; i < n; i++) {
        #pragma omp simd
        for (int64_t k = 0; k < width; k++) mean[k] += a[i * width + k];
    }
    for (int64_t k = 0; k < width; k++) mean[k] /= n;
    for (int64_t i = 0; i < n; i++) {
        #pragma omp simd
        for (int64_t k = 0; k < width; k++) {
            double gap = a[i * width + k] - mean[k];
            var[k] += gap * gap;
        }
    }
    for (int64_t k = 0; k < width; k++) {
        running_mean[k] += momentum * ((float)mean[k] - running_mean[k]);
        running_var[k] += momentum * ((float)(var[k] / (n - correction)) - running_var[k]);
        inverse_sd[k] = (float)(1.0 / sqrt(var[k] / n + eps));
    }
    for (int64_t i = 0; i < n; i++) {
        float *restrict row = a + i * width, *restrict to = out + i * stride;
        #pragma omp simd
        for (int64_t k = 0; k < width; k++) {
            row[k] = (float)(row[k] - mean[k]) * inverse_sd[k];
            float y = row[k] * weight[k] + bias[k];
            to[k] = y > 0.0f ? y : 0.0f;
        }
        for (int64_t k = 0; k < width && mask; k++) to[k] *= mask[i * width + k];
    }
    free(mean);
}

/* Its derivatives: a, the normalised value, becomes the derivative with respect to the input of the layer. by_out
 * (n, width) is overwritten. */
void norm_backward(int64_t n, int64_t width, int64_t stride, float *restrict a, const float *restrict weight,
                   const float *restrict inverse_sd, const float *restrict out, float *restrict by_out,
                   float *restrict by_weight, float *restrict by_bias, const float *mask) {
    double *restrict weight_sum = calloc(2 * width, sizeof(double)), *restrict bias_sum = weight_sum + width;
    for (int64_t i = 0; i < n; i++) {
        float *restrict by = by_out + i * width;
        const float *restrict y = out + i * stride, *restrict x = a + i * width;
        for (int64_t k = 0; k < width && mask; k++) by[k] *= mask[i * width + k];
        #pragma omp simd
        for (int64_t k = 0; k < width; k++) {
            by[k] = y[k] > 0.0f ? by[k] : 0.0f;
            weight_sum[k] += by[k] * x[k];
            bias_sum[k] += by[k];
        }
    }
    for (int64_t k = 0; k < width; k++) {
        by_weight[k] = (float)weight_sum[k];
        by_bias[k] = (float)bias_sum[k];
    }
    float share = 1.0f / n;
    for (int64_t i = 0; i < n; i++) {
        float *restrict x = a + i * width;
        const float *restrict by = by_out + i * width;
        #pragma omp simd
        for (int64_t k = 0; k < width; k++)
            x[k] = weight[k] * inverse_sd[k] * (by[k] - share * (by_bias[k] + x[k] * by_weight[k]));
    }
    free(weight_sum);
}

/* value (n, stride) = mean + offset + sd eps, a draw of q = N(mean + offset, sd^2), and kl (n) = KL(q || prior).
 * heads (n, 2 width): mean, then log sd^2. offset (n) or NULL: 0. priors (., 2): mean and variance; cell i has number
 * prior[i] (NULL: 0). eps (n, width). An infinite variance shows in kl: nothing is cut off here. */
void gaussian_forward(int64_t n, int64_t width, int64_t stride, const float *heads, const float *offset,
                      const float *priors, const int64_t *prior, float *value, float *kl, const float *eps) {
    for (int64_t i = 0; i < n; i++) {
        const float *mean = heads + i * 2 * width, *logvar = mean + width, *p = priors + 2 * (prior ? prior[i] : 0);
        float sum = 0.0f, shift = offset ? offset[i] : 0.0f, log_prior = logf(p[1]);
        for (int64_t k = 0; k < width; k++) {
            float sd = expf(0.5f * logvar[k]), gap = mean[k] + shift - p[0];
            value[i * stride + k] = mean[k] + shift + sd * eps[i * width + k];
            sum += (gap * gap + sd * sd) / p[1] - 1.0f - logvar[k] + log_prior;
        }
        kl[i] = 0.5f * sum;
    }
}

/* heads becomes the derivative with respect to itself of f(value) + weight kl, where by_value (n, stride) = df. */
void gaussian_backward(int64_t n, int64_t width, int64_t stride, float *heads, const float *offset,
                       const float *priors, const int64_t *prior, const float *by_value, const float *eps,
                       float weight) {
    for (int64_t i = 0; i < n; i++) {
        float *mean = heads + i * 2 * width, *logvar = mean + width, shift = offset ? offset[i] : 0.0f;
        const float *p = priors + 2 * (prior ? prior[i] : 0);
        for (int64_t k = 0; k < width; k++) {
            float by = by_value[i * stride + k], sd = expf(0.5f * logvar[k]);
            mean[k] = by + weight * (mean[k] + shift - p[0]) / p[1];
            logvar[k] = 0.5f * (by * sd * eps[i * width + k] + weight * (sd * sd / p[1] - 1.0f));
        }
    }
}

/* ---------------------------------------------------------------- Adam, RMSprop */

/* One step over all parameters; unbias1 and unbias2 are 1 / (1 - beta^t). finite becomes 0 where a parameter is not. */
void adam(int n_threads, int64_t n, const float *restrict gradient, float *restrict mean, float *restrict square,
          float *restrict parameter, int32_t *finite, float lr, float beta1, float beta2, float eps, float unbias1,
          float unbias2) {
    int32_t largest = 0;
    #pragma omp parallel for simd num_threads(n_threads) schedule(static) reduction(max : largest)
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i];
        float m = mean[i] += (1.0f - beta1) * (g - mean[i]);
        float v = square[i] = beta2 * square[i] + (1.0f - beta2) * g * g;
        float p = parameter[i] -= lr * unbias1 * m / (sqrtf(v * unbias2) + eps);
        int32_t size = to_bits(p) & 0x7fffffff;
        largest = size > largest ? size : largest;
    }
    *finite = largest < 0x7f800000;
}

/* One step of RMSprop along the gradient with its entries cut to [-clip, clip]; nan stays nan. */
void rmsprop(int n_threads, int64_t n, const float *restrict gradient, float *restrict square,
             float *restrict parameter, float lr, float alpha, float eps, float clip) {
    #pragma omp parallel for simd num_threads(n_threads) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float g = gradient[i];
        g = g > clip ? clip : g;
        g = g < -clip ? -clip : g;
        float v = square[i] = alpha * square[i] + (1.0f - alpha) * g * g;
        parameter[i] -= lr * g / (sqrtf(v) + eps);
    }
}
