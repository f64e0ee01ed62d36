/* If this failed, a GPU would see other pictures than the CPU: bytes normalised to other floats, or patches cut elsewhere. */
#include "harness.h"

#include <string.h>

enum { P = 4, PREFIX = 1, DOWN = 8, ACROSS = 8, TOKENS = PREFIX + DOWN * ACROSS, HEIGHT = DOWN * P, WIDTH = ACROSS * P };
enum { CELLS = 3 * HEIGHT * WIDTH };

/* Each byte in each channel. */
static std::vector<unsigned char> every_byte()
{
    std::vector<unsigned char> rgb(CELLS);
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        for (int c = 0; c < 3; c++) rgb[(size_t)(3 * i + c)] = (unsigned char)((c + 1) * 37 * i + 11 * c);
    return rgb;
}

static std::vector<float> some_table()
{
    std::vector<float> normal;
    for (int i = 0; i < 3 * 256; i++) normal.push_back(((float)(i % 256) / 255.0f - 0.485f) / (0.229f + (float)(i / 256)));
    return normal;
}

/* vec(patch): channel, row, column; special tokens have none. */
static float wanted(const std::vector<unsigned char> &rgb, const std::vector<float> &normal, int token, int c)
{
    const int channel = c / (P * P), patch = token - PREFIX;
    const int row = patch / ACROSS * P + c / P % P, col = patch % ACROSS * P + c % P;
    return token < PREFIX ? 0 : normal[(size_t)(256 * channel + rgb[(size_t)(3 * (row * WIDTH + col) + channel)])];
}

/* Two pictures, the first of floats, the second of bytes, which say the same. */
static void check_type(vr_dtype type)
{
    const std::vector<unsigned char> rgb = every_byte();
    const std::vector<float>         normal = some_table();
    std::vector<float>               pixels(CELLS);
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        for (int c = 0; c < 3; c++)
            pixels[(size_t)(c * HEIGHT * WIDTH + i)] = normal[(size_t)(256 * c + rgb[(size_t)(3 * i + c)])];
    const device_array<float>         on_pixels(pixels), on_normal(normal);
    const device_array<unsigned char> on_rgb(rgb);
    std::vector<vr_gpu_picture>       pictures(2);
    pictures[0].pixels = on_pixels.p, pictures[1].rgb = on_rgb.p;
    for (int i = 0; i < 2; i++)
        pictures[(size_t)i].first = i * TOKENS, pictures[(size_t)i].height = HEIGHT, pictures[(size_t)i].width = WIDTH;
    const device_array<vr_gpu_picture> on_device(pictures);
    in_all_orders("unfold", [&] {
        const vr_gpu     gpu = test_gpu();
        const device_mat to(2 * TOKENS, 3 * P * P, type, 5);
        check(vr_gpu_unfold(&gpu, to.m, on_device.p, 2, PREFIX, P, on_normal.p) == cudaSuccess, "unfold: launched");
        const table got = to.get(2 * TOKENS);
        int         wrong = 0;
        for (int t = 0; t < 2 * TOKENS; t++)
            for (int c = 0; c < 3 * P * P; c++) {
                const float want = round_to(type, wanted(rgb, normal, t % TOKENS, c));
                wrong += memcmp(&got.at(t, c), &want, sizeof want) != 0;
            }
        check_equal(wrong, 0, text("unfold, type %d: numbers that differ", (int)type));
        check(to.gaps_untouched(), "unfold: gaps");
    });
}

int main()
{
    for (const vr_dtype type : TYPES) check_type(type);
    return verdict("embed");
}
